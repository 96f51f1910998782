// Keys that serve on every page.
import { t } from "../i18n/t";
import { router } from "../router/router.svelte";
import { theme } from "../theme/theme.svelte";
import { type ShortcutGroup, shortcuts } from "./shortcuts.svelte";

export const globalShortcuts: ShortcutGroup = {
  title: () => t("shortcuts.everywhere"),
  shortcuts: [
    { keys: "g l", text: () => t("shortcuts.go-worklist"), run: () => router.navigate("/studies") },
    { keys: "g s", text: () => t("shortcuts.go-status"), run: () => router.navigate("/status") },
    { keys: "g e", text: () => t("shortcuts.go-peers"), run: () => router.navigate("/peers") },
    { keys: "g p", text: () => t("shortcuts.go-settings"), run: () => router.navigate("/settings") },
    { keys: "t", text: () => t("shortcuts.theme"), run: () => theme.toggle() },
    { keys: "?", text: () => t("shortcuts.sheet"), run: () => (shortcuts.sheetOpen = true) },
  ],
};
