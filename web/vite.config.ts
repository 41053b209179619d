/** How the pages are built (`cmd/pages.ts` does it) and served while they are worked on (`npm run dev:pages`). */
import { defineConfig, type Plugin } from 'vite';

/** The page of a link has the link's token in its path. */
const links: Plugin = {
  name: 'links',
  configureServer({ middlewares }) {
    middlewares.use((request, _, next) => {
      if (request.url?.startsWith('/track/') && !/\.tsx?\b/.test(request.url)) request.url = '/track.html';
      next();
    });
  },
};

export default defineConfig({
  appType: 'mpa',
  plugins: [links],
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
