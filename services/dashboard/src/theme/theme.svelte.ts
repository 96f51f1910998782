// Dark, light, or what the system says. public/theme.js applies the stored choice before paint.

export const THEMES = ["dark", "light", "system"] as const;
export type Theme = (typeof THEMES)[number];

const STORED = "heimdallr.theme";

class ThemeChoice {
  choice: Theme = $state(readStored());

  /** What is shown: dark or light. */
  get shown(): "dark" | "light" {
    if (this.choice !== "system") return this.choice;
    return matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark";
  }

  choose(choice: Theme): void {
    this.choice = choice;
    try {
      localStorage.setItem(STORED, choice);
    } catch {
      // Storage may be forbidden; the choice then lasts as long as the page.
    }
    this.apply();
  }

  /** From what is shown now to the other. */
  toggle(): void {
    this.choose(this.shown === "dark" ? "light" : "dark");
  }

  apply(): void {
    document.documentElement.dataset["theme"] = this.shown;
  }
}

export const theme = new ThemeChoice();

/** Follows the system while it is the choice. Returns what stops it. */
export function followSystem(): () => void {
  const query = matchMedia("(prefers-color-scheme: light)");
  const apply = (): void => theme.apply();
  query.addEventListener("change", apply);
  return () => query.removeEventListener("change", apply);
}

function readStored(): Theme {
  try {
    const value = localStorage.getItem(STORED);
    return THEMES.find((name) => name === value) ?? "dark";
  } catch {
    return "dark";
  }
}
