import { cleanup, configure } from "@testing-library/svelte";
import { afterEach } from "vitest";

// Pages are loaded on demand; a busy machine takes its time over that.
configure({ asyncUtilTimeout: 8000 });

afterEach(() => {
  cleanup();
  localStorage.clear();
  sessionStorage.clear();
});
