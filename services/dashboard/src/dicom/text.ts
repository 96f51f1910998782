// DICOM values as people read them. Every value is a stranger's text: none of it is markup.

const LONGEST_SHOWN = 160;
const LONGEST_TITLE = 1000;

/**
 * Person Name (PS3.5 6.2.1.1) as "Family, Given Middle": the first of its alphabetic, ideographic
 * and phonetic groups that is not empty.
 */
export function personName(value: string): string {
  const group = value.split("=").find((text) => text.replaceAll("^", "").trim() !== "");
  if (group === undefined) return "";
  const [family = "", given = "", middle = ""] = group.split("^").map((text) => text.trim());
  const rest = [given, middle].filter((text) => text !== "").join(" ");
  return [family, rest].filter((text) => text !== "").join(", ");
}

/** Date (PS3.5 6.2, DA) as YYYY-MM-DD; a value that is no date is returned as it is. */
export function dicomDate(value: string): string {
  const found = /^(\d{4})\.?(\d{2})\.?(\d{2})$/.exec(value.trim());
  if (found === null) return value;
  return `${found[1]}-${found[2]}-${found[3]}`;
}

/** Time (PS3.5 6.2, TM) as HH:MM; a value that is no time is returned as it is. */
export function dicomTime(value: string): string {
  const found = /^(\d{2}):?(\d{2})/.exec(value.trim());
  return found === null ? value : `${found[1]}:${found[2]}`;
}

/** As much of a value as may enter the page; a whole number of code points. */
export function shortened(value: string, longest = LONGEST_SHOWN): string {
  if (value.length <= longest) return value;
  return `${value.slice(0, longest).replace(/[\uD800-\uDBFF]$/, "")}…`;
}

/** The text of a title: longer than what is shown, still bounded, without direction controls. */
export function titleOf(value: string): string {
  return shortened(withoutDirections(value), LONGEST_TITLE);
}

// A title has no element to isolate it in, so what turns the direction of text is taken out.
function withoutDirections(value: string): string {
  return value.replace(/[\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/g, "");
}
