// The attribute that a rule names, of an element's path.

const LAST_TAG = /(?:^|\.)([0-9A-Fa-f]{8})(?:\[\d+\])?$/;

/** Eight hexadecimal digits of the last tag of a path; empty where no rule can name it. */
export function attributeOf(element: string): string {
  return LAST_TAG.exec(element)?.[1]?.toUpperCase() ?? "";
}
