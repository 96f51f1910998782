// Windows of CT: what range of Hounsfield units is spread over black to white
// (VOI LUT, PS3.3 C.11.2).

/** A window: its centre and its width. */
export interface Window {
  readonly level: number;
  readonly width: number;
}

/** A named window; its place in the list is its number key. */
export interface WindowPreset extends Window {
  readonly name: WindowName;
}

export type WindowName =
  | "soft_tissue"
  | "lung"
  | "bone"
  | "mediastinum"
  | "brain"
  | "abdomen"
  | "liver"
  | "angiography"
  | "full";

export const CT_PRESETS: readonly WindowPreset[] = [
  { name: "soft_tissue", level: 40, width: 400 },
  { name: "lung", level: -600, width: 1500 },
  { name: "bone", level: 300, width: 1500 },
  { name: "mediastinum", level: 50, width: 350 },
  { name: "brain", level: 40, width: 80 },
  { name: "abdomen", level: 60, width: 400 },
  { name: "liver", level: 70, width: 150 },
  { name: "angiography", level: 300, width: 600 },
  { name: "full", level: 1024, width: 4096 },
];

export const DEFAULT_WINDOW: WindowPreset = CT_PRESETS[0]!;

const LEVEL_LIMIT = 100_000;
const WIDTH_LIMIT = 200_000;

/** Range of values shown as black to white. */
export function range(window: Window): { readonly low: number; readonly high: number } {
  return { low: window.level - window.width / 2, high: window.level + window.width / 2 };
}

/** Window that spans a range; at least one unit wide. */
export function spanning(low: number, high: number): Window {
  return { level: (low + high) / 2, width: Math.max(1, high - low) };
}

/** A window within what can be shown: finite, at least one unit wide. */
export function bounded(level: number, width: number): Window | undefined {
  if (!Number.isFinite(level) || !Number.isFinite(width)) return undefined;
  const within = Math.min(Math.max(width, 1), WIDTH_LIMIT);
  return { level: Math.min(Math.max(level, -LEVEL_LIMIT), LEVEL_LIMIT), width: within };
}

/** The preset that is this window, if one is. */
export function presetOf(window: Window): WindowPreset | undefined {
  return CT_PRESETS.find((one) => one.level === window.level && one.width === window.width);
}

/** How a window is written in the address: a preset's name or "level,width". */
export function toParameter(window: Window): string {
  return presetOf(window)?.name ?? `${window.level},${window.width}`;
}

/** Reads what toParameter wrote; undefined when it is neither. */
export function fromParameter(text: string): Window | undefined {
  const preset = CT_PRESETS.find((one) => one.name === text);
  if (preset) return { level: preset.level, width: preset.width };
  const match = /^(-?\d+(?:\.\d+)?),(\d+(?:\.\d+)?)$/.exec(text);
  return match ? bounded(Number(match[1]), Number(match[2])) : undefined;
}
