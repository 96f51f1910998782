import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { render, screen, waitFor, within } from "@testing-library/svelte";
import userEvent from "@testing-library/user-event";
import { beforeEach, expect, test } from "vitest";
import App from "../../App.svelte";
import { AccessService, GetCallerResponseSchema } from "../../gen/heimdallr/access/v1/access_service_pb";
import { Permission } from "../../gen/heimdallr/access/v1/permission_pb";
import { PeersService } from "../../gen/heimdallr/peers/v1/peers_service_pb";
import { SourceTestsService } from "../../gen/heimdallr/sources/v1/source_tests_service_pb";
import { type CreateSourceRequest, Health, type Source, SourceSchema, SourcesService } from "../../gen/heimdallr/sources/v1/sources_service_pb";
import { locale } from "../../i18n/translate.svelte";
import { router } from "../../router/router.svelte";
import { Session } from "../../session/session.svelte";
import { meshTransport, noEndpoint, signedIn } from "../../testing/mesh";

const ADMIN = [Permission.SOURCES_READ, Permission.SOURCES_ADMIN, Permission.PEERS_READ];

function source(name: string, state: MessageInitShape<typeof SourceSchema>["state"]): Source {
  return create(SourceSchema, {
    sourceId: `id-${name}`,
    spec: {
      name,
      schedule: { when: { case: "intervalS", value: 120 } },
      kind: { case: "orthanc", value: { peerId: "peer", reconcileEveryH: 24 } },
    },
    ...(state === undefined ? {} : { state }),
  });
}

class Mesh {
  asked: string[] = [];
  created: CreateSourceRequest[] = [];
  sources: Source[] = [
    source("archive", { health: Health.GOOD, lastSuccessTime: timestampFromDate(new Date()), total: { stored: 12n, known: 3n } }),
    source("ward", { health: Health.FAILING, failures: 3, failure: "Orthanc does not answer" }),
  ];

  show(permissions: Permission[] = ADMIN) {
    const session = new Session(noEndpoint);
    const caller = create(GetCallerResponseSchema, { ...signedIn, permissions });
    const transport = meshTransport((mesh) => {
      mesh.service(AccessService, { getCaller: () => caller });
      mesh.service(PeersService, {
        listPeers: () => ({ peers: [{ peerId: "peer", spec: { name: "ORTHANC", dicomweb: { url: "http://o/dicom-web" } } }, { peerId: "pacs", spec: { name: "PACS", dimse: { aeTitle: "PACS" } } }] }),
      });
      mesh.service(SourceTestsService, {
        testSource: () => ({ succeeded: true, text: "Orthanc 1.10.1 answers; it has 7 studies." }),
      });
      mesh.service(SourcesService, {
        listSources: () => ({ sources: this.sources }),
        createSource: (request) => (this.created.push(request), {}),
        runSource: (request) => (this.asked.push(`run ${request.sourceId} ${request.reconcile}`), {}),
        pauseSource: (request) => (this.asked.push(`pause ${request.sourceId} ${request.paused}`), {}),
        deleteSource: (request) => (this.asked.push(`delete ${request.sourceId}`), {}),
      });
    });
    render(App, { session, transport });
    return userEvent.setup();
  }
}

beforeEach(() => {
  locale.choose("en");
  history.replaceState(null, "", "/sources");
  router.read();
});

test("health, schedule and what came of it are told", async () => {
  new Mesh().show();

  const good = within(await screen.findByRole("row", { name: /archive/ }));
  const failing = within(screen.getByRole("row", { name: /ward/ }));
  expect(good.getByText("Good")).toBeTruthy();
  expect(good.getByText("every 2 minutes")).toBeTruthy();
  expect(good.getByText("12 new instances")).toBeTruthy();
  expect(failing.getByText("Orthanc does not answer")).toBeTruthy();
  expect(failing.getByText(/failed 3 times in a row/)).toBeTruthy();
});

test("a source is tested, run, compared, paused and deleted", async () => {
  const mesh = new Mesh();
  const user = mesh.show();

  await user.click(await screen.findByRole("button", { name: "Test archive" }));
  expect((await screen.findAllByText("Orthanc 1.10.1 answers; it has 7 studies.")).length).toBeGreaterThan(0);
  for (const name of ["Run archive now", "Compare all studies of archive", "Pause archive"]) {
    await user.click(screen.getByRole("button", { name }));
    await waitFor(() => expect(screen.getByRole("button", { name: "Test archive" })).toHaveProperty("disabled", false));
  }
  await user.click(screen.getByRole("button", { name: "Delete ward" }));
  await user.click(within(await screen.findByRole("dialog")).getByRole("button", { name: "Delete" }));

  await waitFor(() => expect(mesh.asked).toEqual(["run id-archive false", "run id-archive true", "pause id-archive true", "delete id-ward"]));
});

test("a new source is filled in, tried out and saved; only fitting peers are offered", async () => {
  const mesh = new Mesh();
  const user = mesh.show();

  await user.click(await screen.findByRole("button", { name: "Add a source" }));
  const dialog = within(await screen.findByRole("dialog"));
  await user.click(dialog.getByRole("button", { name: "Save" }));
  expect(dialog.getByText("This is needed.")).toBeTruthy();
  await user.type(dialog.getByLabelText("Name"), "new one");
  await user.selectOptions(dialog.getByLabelText("What it is"), "Orthanc");
  expect(within(dialog.getByLabelText("Peer")).queryByText("PACS")).toBeNull();
  await user.selectOptions(dialog.getByLabelText("Peer"), "ORTHANC");
  await user.click(dialog.getByRole("button", { name: "Try it out" }));
  expect(await dialog.findByText("Orthanc 1.10.1 answers; it has 7 studies.")).toBeTruthy();
  await user.click(dialog.getByRole("button", { name: "Save" }));

  await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
  expect(mesh.created[0]?.spec).toMatchObject({ name: "new one", kind: { case: "orthanc", value: { peerId: "peer" } } });
});

test("who may only look is offered nothing else", async () => {
  new Mesh().show([Permission.SOURCES_READ]);

  await screen.findByRole("row", { name: /archive/ });

  expect(screen.queryByRole("button", { name: "Add a source" })).toBeNull();
  expect(screen.queryByRole("button", { name: "Test archive" })).toBeNull();
});
