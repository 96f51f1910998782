// English.
export const en = {
  "nav.worklist": "Studies",
  "nav.status": "Status",
  "nav.settings": "Settings",
  "footer.claim": "Not a medical device. Preliminary.",
} as const satisfies Record<string, string>;

export type Key = keyof typeof en;
