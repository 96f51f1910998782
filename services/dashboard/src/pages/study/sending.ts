// A study on its way to a peer, by the protocol that it speaks.
import type { Client } from "@connectrpc/connect";
import type { DicomWebClientService } from "../../gen/heimdallr/dicomweb/v1/dicomweb_client_service_pb";
import { type DimseService, Verification } from "../../gen/heimdallr/dimse/v1/dimse_service_pb";
import { type Peer, TrustZone } from "../../gen/heimdallr/peers/v1/peers_service_pb";

export interface Progress {
  readonly total: number;
  readonly stored: number;
  readonly failed: number;
  /** The first reason that was given for one that is not there. */
  readonly reason: string;
  /** Whether the peer was found to have everything; undefined before it was asked. */
  readonly verified: boolean | undefined;
}

export interface Senders {
  readonly dimse: Client<typeof DimseService>;
  readonly web: Client<typeof DicomWebClientService>;
}

/** Whether a peer may be offered: what is outside gets nothing identified. */
export function mayReceive(peer: Peer): boolean {
  return peer.spec?.trustZone === TrustZone.INSIDE;
}

/** Sends a study and counts it with the peer; yields how far it is. */
export async function* send({ dimse, web }: Senders, peer: Peer, studyUid: string, signal: AbortSignal): AsyncGenerator<Progress> {
  const what = { peer: { case: "peerId" as const, value: peer.peerId }, studyInstanceUids: [studyUid] };
  const calls =
    peer.spec?.dimse === undefined
      ? web.storeInstances({ ...what, verifyCount: true }, { signal })
      : dimse.storeInstances({ ...what, verification: Verification.COUNT }, { signal });
  let reason = "";
  for await (const answer of calls) {
    reason ||= answer.instances.find((item) => item.reason !== "")?.reason ?? "";
    const counted = "count" in answer ? answer.count : "verification" in answer ? answer.verification : undefined;
    yield { total: answer.totalCount, stored: answer.storedCount, failed: answer.failedCount, reason, verified: counted?.verified };
  }
}

/** Whether everything went, and nobody found that it did not arrive. */
export function succeeded(progress: Progress | null): boolean {
  return progress !== null && progress.total > 0 && progress.failed === 0 && progress.verified !== false;
}
