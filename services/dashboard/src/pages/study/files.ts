// Files of a study, saved under names that tell nothing of the patient.

import type { ArchiveService, Instance } from "../../gen/heimdallr/archive/v1/archive_service_pb";
import type { BlobRef } from "../../gen/heimdallr/imaging/v1/blob_ref_pb";
import type { GetStudyResultsResponse } from "../../gen/heimdallr/workflow/v1/workflow_service_pb";
import type { Client } from "@connectrpc/connect";
import { BlobSizeError, gather, LARGEST_BLOB, type OnProgress } from "./blobs";
import { zip, type ZipEntry } from "./zip";

export type FileKind = "pdf" | "json" | "nifti" | "labels" | "metadata";

/** One file that can be saved. */
export interface ResultFile {
  readonly kind: FileKind;
  /** The series it belongs to; empty for the study's own. */
  readonly seriesId: string;
  readonly blob: BlobRef;
  readonly name: string;
}

const PAGE = 500;

/** Every file that was made of a study, the report first. */
export function resultFiles(studyId: string, results: GetStudyResultsResponse): readonly ResultFile[] {
  const files: ResultFile[] = [];
  const add = (kind: FileKind, seriesId: string, blob: BlobRef | undefined, ending: string): void => {
    if (blob) files.push({ kind, seriesId, blob, name: `${seriesId || studyId}${ending}` });
  };
  add("pdf", "", results.report?.pdf, "-report.pdf");
  add("json", "", results.report?.structured, "-report.json");
  for (const one of results.series) {
    add("nifti", one.seriesId, one.volume?.nifti, ".nii.gz");
    for (const analysis of one.analyses) add("labels", one.seriesId, analysis.labelmap, `-${nameOf(analysis.provenance?.tool ?? "")}-labels.nii.gz`);
    add("metadata", one.seriesId, one.metadata, "-metadata.json.gz");
  }
  return files;
}

/** The archive, as far as instances are fetched from it. */
export type Instances = Pick<Client<typeof ArchiveService>, "listInstances" | "fetchInstance">;

/** Every instance of a series. */
export async function allInstances(archive: Instances, seriesId: string, signal: AbortSignal): Promise<readonly Instance[]> {
  const found: Instance[] = [];
  let pageToken = "";
  do {
    const page = await archive.listInstances({ seriesId, pageSize: PAGE, pageToken }, { signal });
    found.push(...page.instances);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return found;
}

/** The DICOM file (PS3.10) of an instance. */
export function instanceBytes(archive: Instances, instance: Instance, signal: AbortSignal, onProgress?: OnProgress): Promise<Uint8Array<ArrayBuffer>> {
  return gather(archive.fetchInstance({ instanceId: instance.instanceId }, { signal }), Number(instance.blob?.sizeBytes ?? 0n), onProgress);
}

/** All DICOM files of a series as one ZIP file; throws BlobSizeError when a browser should not hold it. */
export async function seriesZip(archive: Instances, seriesId: string, signal: AbortSignal, onProgress: OnProgress): Promise<Blob> {
  const instances = await allInstances(archive, seriesId, signal);
  const total = instances.reduce((sum, one) => sum + Number(one.blob?.sizeBytes ?? 0n), 0);
  if (total > LARGEST_BLOB) throw new BlobSizeError("too large");
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let received = 0;
  async function* entries(): AsyncGenerator<ZipEntry> {
    for (const instance of instances) {
      const data = await instanceBytes(archive, instance, signal);
      yield { name: `${instance.instanceId}.dcm`, data };
      received += data.length;
      onProgress(received, total);
    }
  }
  for await (const part of zip(entries())) parts.push(part);
  return new Blob(parts, { type: "application/zip" });
}

/** Hands a file to the browser's downloads. */
export function save(file: Blob, name: string): void {
  const url = URL.createObjectURL(file);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The download has begun once the click returns, but Safari reads a little later.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

function nameOf(tool: string): string {
  return tool.replaceAll(/[^\w.-]+/g, "_").slice(0, 64) || "model";
}
