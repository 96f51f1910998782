// Keys of the review.
import type { Shortcut, ShortcutGroup } from "../../shortcuts/shortcuts.svelte";
import { t } from "./t";

export interface ReviewActions {
  readonly step: (by: 1 | -1) => void;
  readonly frame: (by: 1 | -1) => void;
  readonly approve: () => void;
  readonly reject: () => void;
  readonly reveal: () => void;
  /** What the person may do; keys of the rest are not offered. */
  readonly may: { readonly decide: boolean; readonly reveal: boolean };
}

export function reviewKeys(actions: ReviewActions): ShortcutGroup {
  const deciding: Shortcut[] = [
    { keys: "a", text: () => t("keys.approve"), run: () => actions.approve() },
    { keys: "r", text: () => t("keys.reject"), run: () => actions.reject() },
  ];
  const revealing: Shortcut[] = [{ keys: "v", text: () => t("keys.reveal"), run: () => actions.reveal() }];
  return {
    title: () => t("keys.title"),
    shortcuts: [
      { keys: "j", text: () => t("keys.next"), run: () => actions.step(1) },
      { keys: "k", text: () => t("keys.before"), run: () => actions.step(-1) },
      { keys: "[|]", text: () => t("keys.frames"), run: (event) => actions.frame(event.key === "]" ? 1 : -1) },
      ...(actions.may.decide ? deciding : []),
      ...(actions.may.reveal ? revealing : []),
    ],
  };
}
