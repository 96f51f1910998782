// A volume and its labels drawn by NiiVue. Imported lazily: it is large.

import { DRAG_MODE, MULTIPLANAR_TYPE, Niivue, NVImage, SHOW_RENDER, SLICE_TYPE } from "@niivue/niivue";

import type { ColorTable } from "./labels";
import type { SliceAxis } from "./position";
import { range, spanning, type Window } from "./windows";

/** One plane along the slices, or three planes side by side. */
export type Layout = "single" | "multiplanar";

/** Where the crosshair is. */
export interface Location {
  /** Voxel indices in RAS+ order. */
  readonly voxel: readonly [number, number, number];
  /** Millimetres in RAS+. */
  readonly mm: readonly [number, number, number];
  /** Value of the volume there; Hounsfield units for CT. */
  readonly value: number | undefined;
  /** Value of the label map there; undefined without one. */
  readonly label: number | undefined;
}

/** What the scene tells its owner. */
export interface SceneListener {
  located(location: Location): void;
  windowed(window: Window): void;
  lost(): void;
}

const PLANES: Readonly<Record<SliceAxis, SLICE_TYPE>> = {
  0: SLICE_TYPE.SAGITTAL,
  1: SLICE_TYPE.CORONAL,
  2: SLICE_TYPE.AXIAL,
};

/** NiiVue's own view of a location, as much of it as is read. */
interface Reported {
  readonly mm: ArrayLike<number>;
  readonly vox: ArrayLike<number>;
  readonly values: readonly { readonly value: number }[];
}

/** The largest side of a volume that this machine can draw; 0 without WebGL 2. */
export function largestSide(): number {
  const gl = document.createElement("canvas").getContext("webgl2");
  if (!gl) return 0;
  const limit = Number(gl.getParameter(gl.MAX_3D_TEXTURE_SIZE));
  gl.getExtension("WEBGL_lose_context")?.loseContext();
  return limit;
}

/** A drawing of one volume on a canvas. */
export class Scene {
  private readonly niivue: Niivue;
  private readonly events = new AbortController();
  private frame = 0;
  private painted = "";

  private constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly axis: SliceAxis,
    listener: SceneListener,
  ) {
    this.niivue = new Niivue({
      backColor: [0, 0, 0, 1],
      crosshairColor: [0.35, 0.75, 0.95, 0.8],
      dragAndDropEnabled: false,
      dragMode: DRAG_MODE.windowing,
      isRadiologicalConvention: true,
      loadingText: "",
      logLevel: "error",
      multiplanarLayout: MULTIPLANAR_TYPE.AUTO,
      multiplanarShowRender: SHOW_RENDER.NEVER,
      sagittalNoseLeft: true,
      show3Dcrosshair: false,
      showLegend: false,
    });
    // Its own keys (h, j, k, l, c, v and more) would collide with the page's.
    this.niivue.keyDownListener = () => undefined;
    this.niivue.keyUpListener = () => undefined;
    this.niivue.onLocationChange = (location) => listener.located(read(location as Reported));
    this.niivue.onIntensityChange = ({ cal_min: low, cal_max: high }) => {
      if (low !== undefined && high !== undefined) listener.windowed({ level: (low + high) / 2, width: high - low });
    };
    const { signal } = this.events;
    canvas.addEventListener("webglcontextlost", () => listener.lost(), { signal });
  }

  /** Opens a scene; throws where WebGL 2 cannot be had. */
  static async open(canvas: HTMLCanvasElement, axis: SliceAxis, listener: SceneListener): Promise<Scene> {
    const scene = new Scene(canvas, axis, listener);
    await scene.niivue.attachToCanvas(canvas, false);
    return scene;
  }

  /** Draws a volume, gzipped NIfTI-1, in a window or in the one it suggests; returns that window. */
  async showVolume(bytes: ArrayBuffer, window: Window | undefined): Promise<Window> {
    const limits = window && range(window);
    const options = limits ? { cal_min: limits.low, cal_max: limits.high } : {};
    const volume = await NVImage.loadFromFile({ file: new File([bytes], "volume.nii.gz"), name: "volume.nii.gz", ...options });
    // Closed meanwhile: there is nothing left to draw on.
    if (!this.events.signal.aborted) this.niivue.addVolume(volume);
    return window ?? spanning(volume.cal_min ?? 0, volume.cal_max ?? 1);
  }

  /** Lays a label map, gzipped NIfTI-1, over the volume. */
  async showLabels(bytes: ArrayBuffer, table: ColorTable, opacity: number): Promise<void> {
    this.removeLabels();
    this.painted = paintKey(table, opacity);
    const labels = await NVImage.loadFromFile({ file: new File([bytes], "labels.nii.gz"), name: "labels.nii.gz", opacity });
    labels.setColormapLabel({ ...table, min: 0, max: Math.max(...table.I) });
    if (!this.events.signal.aborted) this.niivue.addVolume(labels);
  }

  removeLabels(): void {
    const labels = this.niivue.volumes[1];
    if (labels) this.niivue.removeVolume(labels);
  }

  /** Changes which labels are drawn and how dense. */
  paintLabels(table: ColorTable, opacity: number): void {
    const labels = this.niivue.volumes[1];
    const key = paintKey(table, opacity);
    if (!labels || key === this.painted) return;
    this.painted = key;
    labels.setColormapLabel({ ...table, min: 0, max: Math.max(...table.I) });
    labels.opacity = opacity;
    this.redraw();
  }

  window(window: Window): void {
    const volume = this.niivue.volumes[0];
    if (!volume) return;
    const { low, high } = range(window);
    if (volume.cal_min === low && volume.cal_max === high) return;
    volume.cal_min = low;
    volume.cal_max = high;
    this.redraw();
  }

  layout(layout: Layout): void {
    this.niivue.setSliceType(layout === "single" ? PLANES[this.axis] : SLICE_TYPE.MULTIPLANAR);
  }

  /** Number of slices along the axis of acquisition. */
  get slices(): number {
    return this.niivue.volumes[0]?.dimsRAS?.[this.axis + 1] ?? 0;
  }

  /** Moves the crosshair by voxels in RAS+ order. */
  move(right: number, front: number, up: number): void {
    if (this.niivue.volumes.length > 0) this.niivue.moveCrosshairInVox(right, front, up);
  }

  /** Moves the crosshair to an index along the axis of acquisition. */
  goTo(index: number): void {
    if (this.niivue.volumes.length === 0) return;
    const voxel = this.niivue.frac2vox(this.niivue.scene.crosshairPos);
    const steps: [number, number, number] = [0, 0, 0];
    steps[this.axis] = index - voxel[this.axis]!;
    this.move(...steps);
  }

  close(): void {
    this.events.abort();
    cancelAnimationFrame(this.frame);
    this.niivue.cleanup();
    this.canvas.getContext("webgl2")?.getExtension("WEBGL_lose_context")?.loseContext();
  }

  private redraw(): void {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.niivue.updateGLVolume());
  }
}

function paintKey(table: ColorTable, opacity: number): string {
  return `${table.A.join()} ${opacity}`;
}

function read(location: Reported): Location {
  return {
    voxel: [location.vox[0]!, location.vox[1]!, location.vox[2]!],
    mm: [location.mm[0]!, location.mm[1]!, location.mm[2]!],
    value: location.values[0]?.value,
    label: location.values[1] && Math.round(location.values[1].value),
  };
}
