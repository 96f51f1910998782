// Keys of the page: registered by whoever serves them, listed in the sheet behind "?".

export interface Shortcut {
  /** Keys as KeyboardEvent.key has them; "g s" is g, then s. Several ways apart by "|". */
  readonly keys: string;
  /** What it does, in the language of the moment. */
  readonly text: () => string;
  /** Absent when the place that has the focus serves the key itself. */
  readonly run?: (event: KeyboardEvent) => void;
}

export interface ShortcutGroup {
  readonly title: () => string;
  readonly shortcuts: readonly Shortcut[];
}

const SEQUENCE_MS = 1200;

class Shortcuts {
  groups: readonly ShortcutGroup[] = $state.raw([]);
  sheetOpen = $state(false);
  #first = "";
  #firstAt = 0;

  /** Adds a group. Returns what takes it away. */
  add(group: ShortcutGroup): () => void {
    this.groups = [...this.groups, group];
    return () => {
      this.groups = this.groups.filter((other) => other !== group);
    };
  }

  readonly onKeydown = (event: KeyboardEvent): void => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (isTyping(event.target) || document.querySelector("dialog[open]") !== null) return;
    const sequence = this.#sequence(event);
    const found = this.#find(sequence) ?? this.#find(event.key);
    if (found?.run === undefined) return;
    event.preventDefault();
    this.#first = "";
    found.run(event);
  };

  #sequence(event: KeyboardEvent): string {
    const fresh = event.timeStamp - this.#firstAt < SEQUENCE_MS && this.#first !== "";
    const sequence = fresh ? `${this.#first} ${event.key}` : event.key;
    this.#first = fresh ? "" : event.key;
    this.#firstAt = event.timeStamp;
    return sequence;
  }

  #find(keys: string): Shortcut | undefined {
    for (const group of this.groups.toReversed()) {
      const found = group.shortcuts.find((shortcut) => shortcut.keys.split("|").includes(keys));
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

export const shortcuts = new Shortcuts();

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || target.matches("input, textarea, select");
}
