/** drizzle-kit's settings: migrations follow from the schema (`npm run migration`). */
import { defineConfig } from 'drizzle-kit';

export default defineConfig({
  dialect: 'postgresql',
  schema: './internal/repository/postgres/schema/*.ts',
  out: './internal/repository/postgres/migrations',
});
