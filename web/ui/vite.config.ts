import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

/** Where `npm run dev` finds a gateway: `CHATAGENT_URL`, else the mock server. */
const gateway = process.env.CHATAGENT_URL ?? 'http://127.0.0.1:8787';

export default defineConfig({
  plugins: [react()],
  // Relative, so that one build works under whatever prefix the page is mounted.
  base: './',
  build: {
    outDir: '../../chatagent/flask/static',
    emptyOutDir: true,
    target: 'es2022',
    chunkSizeWarningLimit: 700,
  },
  server: { proxy: { '/api': { target: gateway, ws: true } } },
  test: { include: ['src/**/*.test.{ts,tsx}'], restoreMocks: true },
});
