// Amounts of storage for people.
import { locale } from "../../i18n/translate.svelte";

const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte", "petabyte"] as const;

/** Bytes in the unit that needs at most three digits before the point; 1 kB is 1,000 bytes. */
export function bytesText(bytes: bigint): string {
  let amount = Number(bytes);
  let unit = 0;
  while (amount >= 999.5 && unit < UNITS.length - 1) {
    amount /= 1000;
    unit += 1;
  }
  return new Intl.NumberFormat(locale.tag, {
    style: "unit",
    unit: UNITS[unit] ?? "byte",
    maximumSignificantDigits: 3,
  }).format(amount);
}
