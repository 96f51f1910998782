// Where a voxel lies in the patient.

export type Point = readonly [x: number, y: number, z: number];

/** Voxels along the axes of a volume. */
export type Shape = readonly [i: number, j: number, k: number];

/** Millimetres (RAS+) of a voxel; the affine is 16 numbers, row by row. */
export function toMillimetres(affine: readonly number[], voxel: Point): Point | undefined {
  if (affine.length !== 16 || !affine.every(Number.isFinite)) return undefined;
  const row = (r: number): number =>
    affine[4 * r]! * voxel[0] + affine[4 * r + 1]! * voxel[1] + affine[4 * r + 2]! * voxel[2] + affine[4 * r + 3]!;
  return [row(0), row(1), row(2)];
}

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
