import { Code, ConnectError, createRouterTransport, type Transport } from "@connectrpc/connect";
import { render, screen, waitFor } from "@testing-library/svelte";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it } from "vitest";
import { DicomWebClientService } from "../../gen/heimdallr/dicomweb/v1/dicomweb_client_service_pb";
import { DimseService, StoreOutcome, type StoreInstancesRequest, Verification } from "../../gen/heimdallr/dimse/v1/dimse_service_pb";
import { PeersService, TrustZone } from "../../gen/heimdallr/peers/v1/peers_service_pb";
import { locale } from "../../i18n/translate.svelte";
import SendProvided from "./SendProvided.svelte";

const INSIDE = { name: "Archive", trustZone: TrustZone.INSIDE, dimse: { aeTitle: "A", host: "a", port: 104 } };
const OUTSIDE = { name: "Cloud", trustZone: TrustZone.OUTSIDE, dimse: { aeTitle: "C", host: "c", port: 104 } };
const WEB = { name: "Web", trustZone: TrustZone.INSIDE, dicomweb: { url: "https://web.example" } };

async function* stream<Message>(messages: readonly Message[]): AsyncGenerator<Message> {
  yield* messages;
}

class Mesh {
  specs: readonly object[] = [INSIDE, OUTSIDE, WEB];
  failure: ConnectError | undefined;
  failed = 0;
  readonly asked: StoreInstancesRequest[] = [];
  readonly web: string[] = [];

  get transport(): Transport {
    return createRouterTransport(({ service }) => {
      service(PeersService, { listPeers: () => ({ peers: this.specs.map((spec, nth) => ({ peerId: `peer-${nth}`, spec })) }) });
      service(DimseService, { storeInstances: (request) => this.#store(request) });
      service(DicomWebClientService, {
        storeInstances: ({ studyInstanceUids, verifyCount }) => {
          this.web.push(`${studyInstanceUids.join()} ${verifyCount}`);
          return stream([{ totalCount: 3, storedCount: 3, count: { verified: true } }]);
        },
      });
    });
  }

  #store(request: StoreInstancesRequest) {
    this.asked.push(request);
    if (this.failure) throw this.failure;
    const instances = this.failed > 0 ? [{ outcome: StoreOutcome.REFUSED, reason: "out of resources" }] : [];
    const counts = { storedCount: 3 - this.failed, failedCount: this.failed, instances };
    return stream([{ totalCount: 3 }, { totalCount: 3, ...counts, verification: { verified: this.failed === 0 } }]);
  }
}

function show(mesh: Mesh) {
  const closed: string[] = [];
  render(SendProvided, { transport: mesh.transport, onclose: () => closed.push("closed") });
  return { closed, user: userEvent.setup() };
}

beforeEach(() => locale.choose("en"));

describe("sending a study", () => {
  it("offers peers inside alone, and counts what arrived", async () => {
    const mesh = new Mesh();
    const { user, closed } = show(mesh);
    const peers = await screen.findByLabelText("Peer");
    expect([...peers.querySelectorAll("option")].map((option) => option.textContent)).toEqual(["Archive", "Web"]);

    screen.getByRole("button", { name: "Send" }).focus();
    await user.keyboard("{Enter}");

    expect(await screen.findByText("3 of 3 images are there.")).toBeTruthy();
    expect(await screen.findByText("The peer was asked and has them.")).toBeTruthy();
    expect(mesh.asked).toMatchObject([
      { peer: { value: "peer-0" }, studyInstanceUids: ["1.2.3"], verification: Verification.COUNT },
    ]);
    const close = screen.getAllByRole("button", { name: "Close" }).at(-1);
    await user.click(close as HTMLElement);
    expect(closed).toEqual(["closed"]);
  });

  it("says what is not there and why", async () => {
    const mesh = new Mesh();
    mesh.failed = 2;
    const { user } = show(mesh);
    await screen.findByLabelText("Peer");

    await user.click(screen.getByRole("button", { name: "Send" }));

    expect(await screen.findByText("1 of 3 images are there.")).toBeTruthy();
    expect(screen.getByRole("status").textContent).toContain("2 are not:");
    expect(screen.getByRole("status").textContent).toContain("out of resources");
  });

  it("speaks DICOMweb to a peer that speaks nothing else", async () => {
    const mesh = new Mesh();
    const { user } = show(mesh);
    await user.selectOptions(await screen.findByLabelText("Peer"), "Web");

    await user.click(screen.getByRole("button", { name: "Send" }));

    await waitFor(() => expect(mesh.web).toEqual(["1.2.3 true"]));
  });

  it("says that nobody may get it, and when it could not be sent", async () => {
    const nobody = new Mesh();
    nobody.specs = [OUTSIDE];
    show(nobody);
    expect(await screen.findByText(/No peer inside your institution/)).toBeTruthy();
    document.body.replaceChildren();

    const mesh = new Mesh();
    mesh.failure = new ConnectError("gone", Code.Unavailable);
    const { user } = show(mesh);
    await screen.findByLabelText("Peer");
    await user.click(screen.getByRole("button", { name: "Send" }));

    expect(await screen.findByText("That did not work")).toBeTruthy();
  });
});
