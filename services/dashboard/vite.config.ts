import { svelte } from "@sveltejs/vite-plugin-svelte";
import tailwindcss from "@tailwindcss/vite";
import { defineConfig } from "vitest/config";

// Address of a running stack, for work on the page with `npm run dev`.
const stack = process.env["HEIMDALLR_STACK"] ?? "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [tailwindcss(), svelte()],
  resolve: process.env["VITEST"] ? { conditions: ["browser"] } : {},
  build: {
    target: "es2022",
    manifest: true,
    sourcemap: false,
    // A data: address of a font or a worker would need a wider CSP.
    assetsInlineLimit: 0,
    // The viewer is loaded with the first study and is large by nature.
    chunkSizeWarningLimit: 1500,
  },
  server: {
    proxy: {
      "^/heimdallr\\.": { target: stack, changeOrigin: true },
      "/session": { target: stack, changeOrigin: true },
    },
  },
  test: {
    environment: "happy-dom",
    include: ["src/**/*.test.ts"],
    setupFiles: ["src/setup-tests.ts"],
    restoreMocks: true,
    testTimeout: 20_000,
  },
});
