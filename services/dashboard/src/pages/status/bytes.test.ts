import { beforeEach, expect, test } from "vitest";
import { locale } from "../../i18n/translate.svelte";
import { bytesText } from "./bytes";

beforeEach(() => locale.choose("en"));

test.each([
  [0n, "0 byte"],
  [999n, "999 byte"],
  [999_600n, "1 MB"],
  [47_900_000n, "47.9 MB"],
  [2n ** 62n, "4,610 PB"],
])("%d bytes are read as %s", (bytes, text) => {
  expect(bytesText(bytes)).toBe(text);
});
