import { Code, ConnectError } from "@connectrpc/connect";
import { render, screen, waitFor, within } from "@testing-library/svelte";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it } from "vitest";
import { Permission } from "../../gen/heimdallr/access/v1/permission_pb";
import { TrustZone } from "../../gen/heimdallr/peers/v1/peers_service_pb";
import { locale } from "../../i18n/translate.svelte";
import Provided from "./Provided.svelte";
import { makePeer, peerId, Registry, sessionOf, typedError } from "./registry";

const VIEWER = [Permission.PEERS_READ];
const ADMINISTRATOR = [...VIEWER, Permission.PEERS_EXCHANGE, Permission.PEERS_ADMIN];

function show(registry: Registry, permissions: Permission[] = ADMINISTRATOR) {
  render(Provided, { transport: registry.transport, session: sessionOf(...permissions) });
  return userEvent.setup();
}

async function opened(user: ReturnType<typeof userEvent.setup>, button: string): Promise<HTMLElement> {
  await user.click(await screen.findByRole("button", { name: button }));
  return screen.getByRole("dialog");
}

beforeEach(() => locale.choose("en"));

describe("the list of peers", () => {
  it("shows zone, address and the last test of each", async () => {
    const registry = new Registry();
    registry.peers = [
      makePeer(1, { tests: [{ kind: "echo", succeeded: false, text: "no connection", durationMs: 31 }] }),
      makePeer(2, { spec: { name: "Cloud", trustZone: TrustZone.OUTSIDE, dicomweb: { url: "https://cloud.example/dicom-web" } } }),
    ];

    show(registry);

    const pacs = await screen.findByRole("row", { name: /PACS 1/ });
    expect(pacs.textContent).toContain("Inside");
    expect(pacs.textContent).toContain("PACS1 @ 10.0.0.1:104");
    expect(pacs.textContent).toContain("C-ECHO failed");
    expect(pacs.textContent).toContain("no connection");
    const cloud = screen.getByRole("row", { name: /Cloud/ });
    expect(cloud.textContent).toContain("Outside");
    expect(cloud.textContent).toContain("not tested yet");
  });

  it("offers nothing to those who may only look", async () => {
    const registry = new Registry();
    registry.peers = [makePeer(1)];

    show(registry, VIEWER);

    await screen.findByRole("row", { name: /PACS 1/ });
    expect(screen.queryAllByRole("button")).toEqual([]);
  });

  it("says that it is empty, and what could not be loaded", async () => {
    show(new Registry());

    expect(await screen.findByText("No peers yet")).toBeTruthy();
  });
});

describe("a test of a peer", () => {
  it("asks by every protocol that it speaks, and shows the outcome", async () => {
    const registry = new Registry();
    registry.peers = [makePeer(1)];
    const user = show(registry);

    await user.click(await screen.findByRole("button", { name: "Test PACS 1" }));

    expect(await screen.findByText("PACS 1 answers.")).toBeTruthy();
    expect(registry.asked).toEqual([`echo ${peerId(1)}`]);
    await waitFor(() => expect(screen.getByRole("row", { name: /PACS 1/ }).textContent).toContain("C-ECHO answers"));
  });

  it("says when it does not answer", async () => {
    const registry = new Registry();
    registry.answers = false;
    registry.peers = [makePeer(1)];
    const user = show(registry);

    await user.click(await screen.findByRole("button", { name: "Test PACS 1" }));

    expect(await screen.findByText("PACS 1 does not answer as it should.")).toBeTruthy();
  });
});

describe("a new peer", () => {
  it("is registered by keyboard alone, once its zone is chosen", async () => {
    const registry = new Registry();
    const user = show(registry);
    (await screen.findByRole("button", { name: "Add a peer" })).focus();
    await user.keyboard("{Enter}");
    const dialog = within(screen.getByRole("dialog"));

    dialog.getByLabelText("Name").focus();
    await user.keyboard("Archive{Enter}");
    expect(dialog.getByText("Choose one.")).toBeTruthy();
    expect(registry.created).toEqual([]);
    dialog.getByRole("radio", { name: /Inside/ }).focus();
    await user.keyboard(" ");
    await user.type(dialog.getByLabelText("AE title"), "ARCHIVE");
    await user.type(dialog.getByLabelText("Host"), "10.0.0.7");
    await user.type(dialog.getByLabelText("User name"), "us");
    await user.type(dialog.getByLabelText("Password"), "secret{Enter}");

    await waitFor(() => expect(registry.created).toHaveLength(1));
    expect(registry.created[0]).toMatchObject({
      spec: { name: "Archive", trustZone: TrustZone.INSIDE, dimse: { aeTitle: "ARCHIVE", host: "10.0.0.7", port: 104 } },
      credentials: { userName: "us", password: "secret" },
    });
    expect(await screen.findByRole("row", { name: /Archive/ })).toBeTruthy();
    expect(screen.queryByRole("dialog")).toBeNull();
  });

  it("is not sent while something is missing, and the first problem has the focus", async () => {
    const registry = new Registry();
    const user = show(registry);
    const dialog = within(await opened(user, "Add a peer"));

    await user.clear(dialog.getByLabelText("Port"));
    await user.type(dialog.getByLabelText("Port"), "70000");
    await user.click(dialog.getByRole("button", { name: "Save" }));

    expect(document.activeElement).toBe(dialog.getByLabelText("Name"));
    expect(dialog.getByText("A number from 1 to 65535.")).toBeTruthy();
    expect(registry.created).toEqual([]);
  });

  it("shows beside the field what the server does not accept", async () => {
    const registry = new Registry();
    registry.failure = typedError(Code.InvalidArgument, "ERROR_REASON_INVALID_FIELD", {
      field: "spec.dimse.host",
      rule: "not a link-local address",
    });
    const user = show(registry);
    const dialog = within(await opened(user, "Add a peer"));
    await user.type(dialog.getByLabelText("Name"), "Archive");
    await user.click(dialog.getByRole("radio", { name: /Outside/ }));
    await user.type(dialog.getByLabelText("AE title"), "ARCHIVE");
    await user.type(dialog.getByLabelText("Host"), "169.254.169.254");

    await user.click(dialog.getByRole("button", { name: "Save" }));

    expect(await dialog.findByText("Not accepted: not a link-local address.")).toBeTruthy();
    await waitFor(() => expect(document.activeElement).toBe(dialog.getByLabelText("Host")));
  });

  it("says when the name is taken, and when nobody answers", async () => {
    const registry = new Registry();
    registry.peers = [makePeer(1)];
    registry.failure = typedError(Code.AlreadyExists, "ERROR_REASON_PEER_EXISTS", { field: "spec.name" });
    const user = show(registry);
    const dialog = within(await opened(user, "Edit PACS 1"));

    await user.click(dialog.getByRole("button", { name: "Save" }));
    expect(await dialog.findByText("Another peer has it already.")).toBeTruthy();
    registry.failure = new ConnectError("gone", Code.Unavailable);
    await user.click(dialog.getByRole("button", { name: "Save" }));

    expect(await dialog.findByText("It could not be saved")).toBeTruthy();
  });
});

describe("a peer that is changed", () => {
  it("keeps its credentials unless they are replaced, and what the form does not show", async () => {
    const registry = new Registry();
    registry.peers = [makePeer(1, { hasSecret: true })];
    const user = show(registry);
    let dialog = within(await opened(user, "Edit PACS 1"));
    expect(dialog.getByText(/Kept: a password or token/)).toBeTruthy();
    expect(dialog.queryByLabelText("Password")).toBeNull();

    await user.click(dialog.getByRole("button", { name: "Save" }));
    await waitFor(() => expect(registry.updated).toHaveLength(1));
    dialog = within(await opened(user, "Edit PACS 1"));
    await user.click(dialog.getByLabelText(/Replace what is kept/));
    await user.click(dialog.getByRole("button", { name: "Save" }));
    await waitFor(() => expect(registry.updated).toHaveLength(2));

    expect(registry.updated[0]?.credentials).toBeUndefined();
    expect(registry.updated[0]?.spec?.dimse?.transferSyntaxUids).toEqual(["1.2.840.10008.1.2.1"]);
    expect(registry.updated[1]?.credentials).toMatchObject({ password: "" });
  });

  it("gets the copies of a project when it is outside, and keeps that project where nobody may choose", async () => {
    const registry = new Registry();
    registry.projects = [{ projectId: peerId(7), name: "lungs" }];
    const spec = { name: "Cloud", trustZone: TrustZone.OUTSIDE, dicomweb: { url: "https://cloud.example" } };
    registry.peers = [makePeer(1, { spec: { ...spec, deidProjectId: peerId(5) } })];
    const user = show(registry);
    await user.click(within(await opened(user, "Edit Cloud")).getByRole("button", { name: "Save" }));
    await waitFor(() => expect(registry.updated).toHaveLength(1));
    document.body.replaceChildren();

    show(registry, [...ADMINISTRATOR, Permission.DEID_READ]);
    const dialog = within(await opened(user, "Edit Cloud"));
    await user.selectOptions(await dialog.findByLabelText("De-identification project"), "lungs");
    await user.click(dialog.getByRole("button", { name: "Save" }));
    await waitFor(() => expect(registry.updated).toHaveLength(2));

    expect(registry.updated.map((one) => one.spec?.deidProjectId)).toEqual([peerId(5), peerId(7)]);
  });

  it("is forgotten once that is confirmed", async () => {
    const registry = new Registry();
    registry.peers = [makePeer(1), makePeer(2)];
    const user = show(registry);
    const dialog = within(await opened(user, "Delete PACS 1"));
    expect(registry.asked).toEqual([]);

    await user.click(dialog.getByRole("button", { name: "Delete" }));

    await waitFor(() => expect(screen.queryByRole("row", { name: /PACS 1/ })).toBeNull());
    expect(registry.asked).toEqual([`delete ${peerId(1)}`]);
  });

  it("speaks Portuguese", async () => {
    locale.choose("pt");
    show(new Registry());

    expect(await screen.findByText("Ainda não há parceiros")).toBeTruthy();
  });
});
