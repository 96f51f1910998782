// Values with UCUM units, sizes and durations as people read them.

/** A number and its unit, ready to be read. */
export interface Quantity {
  readonly number: string;
  readonly unit: string;
}

const UNITS = new Map([
  ["[hnsf'U]", "HU"],
  ["mm2", "mm²"],
  ["cm2", "cm²"],
  ["mm3", "mm³"],
  ["cm3", "cm³"],
  ["m2", "m²"],
  ["g/cm3", "g/cm³"],
  ["kg/m2", "kg/m²"],
  ["mL/m2", "mL/m²"],
  ["{ratio}", ""],
  ["1", ""],
  ["deg", "°"],
  ["Cel", "°C"],
]);

const KIBI = 1024;

/** A UCUM unit (case-sensitive form) as it is printed; unknown ones stay as they are. */
export function unitText(ucum: string): string {
  return UNITS.get(ucum) ?? ucum;
}

/** A number with as many decimals as its size deserves, and its unit. */
export function quantity(number: number, ucum: string, locale: string): Quantity {
  const size = Math.abs(number);
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : 2;
  const options = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return { number: new Intl.NumberFormat(locale, options).format(number), unit: unitText(ucum) };
}

/** Bytes in binary units. */
export function bytes(count: number | bigint, locale: string): string {
  let size = Number(count);
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let place = 0;
  while (size >= KIBI && place < units.length - 1) {
    size /= KIBI;
    place += 1;
  }
  const digits = place === 0 || size >= 100 ? 0 : 1;
  return `${new Intl.NumberFormat(locale, { maximumFractionDigits: digits }).format(size)} ${units[place]!}`;
}

/** A duration in the two units that tell most, e.g. "1.3 s", "2 min 5 s". */
export function duration(lengthMs: number, locale: string): string {
  const ms = Math.max(0, lengthMs);
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${new Intl.NumberFormat(locale, { maximumFractionDigits: 1 }).format(ms / 1000)} s`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes} min ${Math.floor((ms % 60_000) / 1000)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** A protobuf timestamp in milliseconds since 1970; undefined when absent. */
export function milliseconds(stamp: { readonly seconds: bigint; readonly nanos: number } | undefined): number | undefined {
  return stamp && Number(stamp.seconds) * 1000 + stamp.nanos / 1e6;
}

/** The time of day of a point in time. */
export function clock(ms: number, locale: string): string {
  return new Intl.DateTimeFormat(locale, { timeStyle: "medium" }).format(ms);
}

/** The first digits of a hash, enough to tell two apart. */
export function shortHash(hash: string): string {
  return hash.slice(0, 12);
}
