/** How the pages are built (`cmd/pages.ts` does it) and served while they are worked on (`npm run dev:pages`). */
import { defineConfig, type Plugin } from 'vite';

/** Pages that have an id or a token in their path. */
const PAGES = ['track', 'kitchen', 'rider', 'console'];

const links: Plugin = {
  name: 'links',
  configureServer({ middlewares }) {
    middlewares.use((request, _, next) => {
      const page = PAGES.find((name) => new RegExp(`^/${name}(/|$)`).test(request.url ?? ''));
      if (page && !/\.tsx?\b/.test(request.url ?? '')) request.url = `/${page}.html`;
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
    rolldownOptions: { input: ['index', ...PAGES].map((page) => `${import.meta.dirname}/${page}.html`) },
    // The policy allows no inline resources; every browser that runs ES2022 preloads modules by itself.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: { '^/(v1|ui|orders|docs|admin|scheduler|readyz|openapi.json)\\b': 'http://localhost:8080' },
  },
});
