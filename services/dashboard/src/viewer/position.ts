// Where a voxel lies in the patient.

export type Point = readonly [x: number, y: number, z: number];

/** Directions of a point in RAS+ millimetres as letters with lengths, e.g. "L 12.5". */
export function directions(point: Point): readonly { readonly letter: string; readonly mm: number }[] {
  const letters = ["RL", "AP", "SI"];
  return point.map((mm, axis) => ({ letter: letters[axis]![mm < 0 ? 1 : 0]!, mm: Math.abs(mm) }));
}

/** A slice number within 1 to count; undefined when it is no whole number. */
export function sliceWithin(slice: number, count: number): number | undefined {
  if (!Number.isInteger(slice) || count < 1) return undefined;
  return Math.min(Math.max(slice, 1), count);
}

/** Whether a volume can be a texture of this machine. */
export function fitsTexture(shape: readonly number[], limit: number): boolean {
  return shape.length === 3 && shape.every((length) => length >= 1 && length <= limit);
}

/** Anatomical axis the slices of a volume follow: 0 left-right, 1 back-front, 2 foot-head. */
export type SliceAxis = 0 | 1 | 2;

/** How slices are counted: along which axis, and whether with it or against it. */
export interface SliceOrder {
  readonly axis: SliceAxis;
  readonly forward: boolean;
}

/** How the slices (axis k of the array) of a volume run through the patient; RAS+ affine, row by row. */
export function sliceOrder(affine: readonly number[]): SliceOrder {
  const along = [affine[2] ?? 0, affine[6] ?? 0, affine[10] ?? 0];
  const sizes = along.map(Math.abs);
  const largest = Math.max(...sizes);
  if (!(largest > 0)) return { axis: 2, forward: true };
  const axis = sizes.indexOf(largest) as SliceAxis;
  return { axis, forward: along[axis]! > 0 };
}

/** The number of a slice, from 1, of an index along a RAS+ axis; and back. */
export function sliceOfIndex(index: number, count: number, order: SliceOrder): number {
  return order.forward ? index + 1 : count - index;
}

export function indexOfSlice(slice: number, count: number, order: SliceOrder): number {
  return order.forward ? slice - 1 : count - slice;
}
