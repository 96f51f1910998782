// Texts of the page. A catalogue is an object; its keys are its type, so a missing one fails tsc.

export const LANGUAGES = ["en", "pt"] as const;
export type Language = (typeof LANGUAGES)[number];
export type Values = Readonly<Record<string, string | number>>;

/** The same keys in every language. */
export type Catalogues<Key extends string> = Readonly<Record<Language, Readonly<Record<Key, string>>>>;

/** Keys that have a form for one and a form for other numbers. */
export type CountKey<Key extends string, Every extends string = Key> = Key extends `${infer Base}.one`
  ? `${Base}.other` extends Every
    ? Base
    : never
  : never;

export interface Translate<Key extends string> {
  (key: Key, values?: Values): string;
  /** Chooses by number between `key.one` and `key.other`; `{n}` is the number, written locally. */
  count(key: CountKey<Key>, n: number, values?: Values): string;
}

const STORED = "heimdallr.language";

// Making one of these takes longer than drawing a row; each is made once a language.
const formats = {
  plural: perTag((tag) => new Intl.PluralRules(tag)),
  number: perTag((tag) => new Intl.NumberFormat(tag)),
};

/** A maker of formats that makes one for each language tag. */
export function perTag<Format>(make: (tag: string) => Format): (tag: string) => Format {
  const made = new Map<string, Format>();
  return (tag) => {
    const format = made.get(tag) ?? make(tag);
    made.set(tag, format);
    return format;
  };
}

class Locale {
  language: Language = $state(initialLanguage());

  /** Tag for Intl. */
  get tag(): string {
    return this.language === "pt" ? "pt-BR" : "en-GB";
  }

  choose(language: Language): void {
    this.language = language;
    document.documentElement.lang = this.tag;
    try {
      localStorage.setItem(STORED, language);
    } catch {
      // Storage may be forbidden; the choice then lasts as long as the page.
    }
  }
}

export const locale = new Locale();

/** Makes the function that finds texts in some catalogues, in the language of the moment. */
export function translator<Key extends string>(catalogues: Catalogues<Key>): Translate<Key> {
  const translate = (key: Key, values: Values = {}): string =>
    fill(catalogues[locale.language][key], values);
  const count = (key: CountKey<Key>, n: number, values: Values = {}): string => {
    const form = formats.plural(locale.tag).select(n) === "one" ? "one" : "other";
    const text = catalogues[locale.language][`${key}.${form}` as Key];
    return fill(text, { n: formatNumber(n), ...values });
  };
  return Object.assign(translate, { count });
}

export function formatNumber(n: number): string {
  return formats.number(locale.tag).format(n);
}

function fill(text: string, values: Values): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name];
    return value === undefined ? whole : String(value);
  });
}

function initialLanguage(): Language {
  const stored = readStored();
  if (stored !== null) return stored;
  return navigator.language.toLowerCase().startsWith("pt") ? "pt" : "en";
}

function readStored(): Language | null {
  try {
    const value = localStorage.getItem(STORED);
    return LANGUAGES.find((language) => language === value) ?? null;
  } catch {
    return null;
  }
}
