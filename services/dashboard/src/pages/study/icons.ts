// Drawings of the icons, on a field of 16 by 16, drawn with a stroke.

export const ICONS = {
  check: "M3 8.5l3.2 3.2L13 4.8",
  clock: "M8 2a6 6 0 100 12A6 6 0 008 2zM8 4.8V8l2.2 1.6",
  gear: "M8 5.6a2.4 2.4 0 100 4.8 2.4 2.4 0 000-4.8zM8 1.8v1.8M8 12.4v1.8M1.8 8h1.8M12.4 8h1.8M3.6 3.6l1.3 1.3M11.1 11.1l1.3 1.3M3.6 12.4l1.3-1.3M11.1 4.9l1.3-1.3",
  hand: "M5.2 2.5h5.6L14 5.7v4.6l-3.2 3.2H5.2L2 10.3V5.7zM8 5v3.6M8 11v.2",
  slash: "M8 2a6 6 0 100 12A6 6 0 008 2zM3.8 3.8l8.4 8.4",
  layers: "M8 2l6 3-6 3-6-3zM2 8l6 3 6-3M2 11l6 3 6-3",
  inbox: "M2 9l2-6h8l2 6v4H2zM2 9h3.5l1 1.8h3l1-1.8H14",
  question: "M5.8 6a2.2 2.2 0 114 1.2c-.9.9-1.8 1.2-1.8 2.3M8 12v.2",
  copy: "M6 6h7v7H6zM3 10V3h7",
  replay: "M3.2 6A5.2 5.2 0 113 9.6M3 3v3.2h3.2",
  stop: "M4 4h8v8H4z",
  download: "M8 2.5v7.5M4.8 7L8 10.2 11.2 7M3 13h10",
  eye: "M1.8 8S4 3.8 8 3.8 14.2 8 14.2 8 12 12.2 8 12.2 1.8 8 1.8 8zM8 6.4a1.6 1.6 0 100 3.2 1.6 1.6 0 000-3.2z",
  eye_off: "M1.8 8S4 3.8 8 3.8 14.2 8 14.2 8 12 12.2 8 12.2 1.8 8 1.8 8zM2.5 13.5l11-11",
  left: "M10 3L5 8l5 5",
  right: "M6 3l5 5-5 5",
  external: "M9 3h4v4M13 3L7.5 8.5M11 9.5V13H3V5h3.5",
  cube: "M8 1.8l5.5 3v6.4L8 14.2l-5.5-3V4.8zM2.5 4.8L8 8l5.5-3.2M8 8v6.2",
  alert: "M8 2.2L14.4 13.4H1.6zM8 6.4v3.2M8 11.4v.2",
} as const;

export type IconName = keyof typeof ICONS;
