// Texts of the shell and its pages. A page of its own bundle makes its own with translator().
import { en, type Key } from "./en";
import { pt } from "./pt";
import { translator } from "./translate.svelte";

export const t = translator<Key>({ en, pt });
