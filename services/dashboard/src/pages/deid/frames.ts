// The picture of an object's frame, and the boxes on it.
import type { Client } from "@connectrpc/connect";
import type { ArchiveService } from "../../gen/heimdallr/archive/v1/archive_service_pb";
import type { Box } from "../../gen/heimdallr/deid/v1/profile_pb";
import type { InstanceAttributes } from "../../gen/heimdallr/imaging/v1/instance_attributes_pb";

const PAGE = 500;

/** Attributes of a series' instances by our id, fetched page by page as far as they are looked for. */
export class Instances {
  readonly #found = new Map<string, InstanceAttributes>();
  #nextToken: string | undefined = "";

  constructor(
    private readonly archive: Pick<Client<typeof ArchiveService>, "listInstances">,
    private readonly seriesId: string,
  ) {}

  async attributes(instanceId: string, signal: AbortSignal): Promise<InstanceAttributes | undefined> {
    while (!this.#found.has(instanceId) && this.#nextToken !== undefined) {
      const page = await this.archive.listInstances({ seriesId: this.seriesId, pageSize: PAGE, pageToken: this.#nextToken }, { signal });
      for (const one of page.instances) if (one.attributes) this.#found.set(one.instanceId, one.attributes);
      this.#nextToken = page.nextPageToken === "" ? undefined : page.nextPageToken;
    }
    return this.#found.get(instanceId);
  }
}

/** Address of a frame drawn as a person sees it (PS3.18 10.4.1.1.3); frames count from 1. */
export function frameAddress(attributes: InstanceAttributes, frame: number): string {
  const { studyInstanceUid, seriesInstanceUid, sopInstanceUid } = attributes;
  const parts = ["studies", studyInstanceUid, "series", seriesInstanceUid, "instances", sopInstanceUid, "frames", String(frame), "rendered"];
  return `/dicom-web/${parts.map(encodeURIComponent).join("/")}`;
}

/** How many frames an object has: what it says, or as many as boxes lie on. */
export function frameCount(attributes: InstanceAttributes | undefined, boxes: readonly Box[]): number {
  return Math.max(1, attributes?.numberOfFrames ?? 1, ...boxes.map((box) => box.frame));
}

export function boxesOf(boxes: readonly Box[], frame: number): readonly Box[] {
  return boxes.filter((box) => box.frame === frame);
}
