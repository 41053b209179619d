/** How the pages are built (`cmd/pages.ts` does it) and served while they are worked on (`npm run dev:pages`). */
import { defineConfig } from 'vite';

export default defineConfig({
  appType: 'mpa',
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    target: 'es2022',
    rolldownOptions: { input: ['index.html', 'track.html'].map((file) => `${import.meta.dirname}/${file}`) },
    // The policy allows no inline resources; every browser that runs ES2022 preloads modules by itself.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: { proxy: { '^/(v1|ui|orders|docs|openapi.json)\\b': 'http://localhost:8080' } },
});
