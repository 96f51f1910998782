import { create } from "@bufbuild/protobuf";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";

import { ArchiveService } from "../../gen/heimdallr/archive/v1/archive_service_pb";
import { GetStudyResultsResponseSchema } from "../../gen/heimdallr/workflow/v1/workflow_service_pb";
import { BlobSizeError, LARGEST_BLOB } from "./blobs";
import { allInstances, resultFiles, seriesZip } from "./files";

function archive(sizes: readonly bigint[]) {
  const transport = createRouterTransport(({ service }) => {
    service(ArchiveService, {
      listInstances: ({ pageToken }) => {
        const index = Number(pageToken);
        const next = index + 1 < sizes.length ? String(index + 1) : "";
        return { instances: [{ instanceId: `i${index}`, blob: { sizeBytes: sizes[index]! } }], nextPageToken: next };
      },
      async *fetchInstance({ instanceId }) {
        yield { data: new TextEncoder().encode(instanceId) };
      },
    });
  });
  return createClient(ArchiveService, transport);
}

const { signal } = new AbortController();

describe("files of a study", () => {
  it("names files by our ids and the model, never by what a peer sent", () => {
    const results = create(GetStudyResultsResponseSchema, {
      series: [{ seriesId: "s1", volume: { nifti: { sha256: "a" } }, analyses: [{ labelmap: { sha256: "b" }, provenance: { tool: "../x y" } }] }],
      report: { pdf: { sha256: "c" }, structured: { sha256: "d" } },
    });

    expect(resultFiles("st", results).map((file) => file.name)).toEqual([
      "st-report.pdf",
      "st-report.json",
      "s1.nii.gz",
      "s1-.._x_y-labels.nii.gz",
    ]);
  });

  it("lists the instances of every page", async () => {
    const found = await allInstances(archive([2n, 2n, 2n]), "s", signal);

    expect(found.map((one) => one.instanceId)).toEqual(["i0", "i1", "i2"]);
  });

  it("puts every instance into the ZIP file and tells how far it is", async () => {
    const seen: number[] = [];

    const file = await seriesZip(archive([2n, 2n]), "s", signal, (received) => seen.push(received));

    const text = new TextDecoder("latin1").decode(await file.arrayBuffer());
    expect([text.includes("i0.dcmi0"), text.includes("i1.dcmi1")]).toEqual([true, true]);
    expect(seen).toEqual([2, 4]);
  });

  it("refuses a series that a browser should not hold", async () => {
    const all = seriesZip(archive([BigInt(LARGEST_BLOB), 1n]), "s", signal, () => undefined);

    await expect(all).rejects.toBeInstanceOf(BlobSizeError);
  });
});
