import { create } from "@bufbuild/protobuf";
import { render, screen } from "@testing-library/svelte";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import App from "../../App.svelte";
import { AccessService, GetCallerResponseSchema } from "../../gen/heimdallr/access/v1/access_service_pb";
import { Permission } from "../../gen/heimdallr/access/v1/permission_pb";
import { locale } from "../../i18n/translate.svelte";
import { router } from "../../router/router.svelte";
import { Session } from "../../session/session.svelte";
import { meshTransport, noEndpoint, signedIn } from "../../testing/mesh";

const ID = "0192f0c4-0000-7000-8000-00000000000b";
const NOTHING = { stored: 0, duplicates: 0, conflicts: 0, journaled: 0, refused_count: 0, skipped_count: 0, references_refused: 0, references_missing: 0, failure: "" };
const EARLIER = [
  { upload_id: "a", state: "done", length: 10, offset: 10, create_time: "2026-03-04T12:00:00+00:00", ...NOTHING, stored: 7, duplicates: 1 },
  { upload_id: "b", state: "receiving", length: 1000, offset: 400, create_time: "2026-03-04T12:00:00+00:00", ...NOTHING },
];

function show(permissions: Permission[] = [Permission.ARCHIVE_WRITE]) {
  const caller = create(GetCallerResponseSchema, { ...signedIn, permissions });
  const transport = meshTransport((mesh) => mesh.service(AccessService, { getCaller: () => caller }));
  render(App, { session: new Session(noEndpoint), transport });
  return userEvent.setup();
}

async function answered(path: string, init: RequestInit): Promise<Response> {
  if (init.method === "POST") return new Response(null, { status: 201, headers: { Location: `${path}/${ID}` } });
  if (init.method === "PATCH") return new Response(null, { status: 204, headers: { "Upload-Offset": String((init.body as Blob).size) } });
  if (path.endsWith("uploads")) return Response.json({ uploads: EARLIER });
  const refused = [{ place: 2, reason: "data set: cut off" }];
  return Response.json({ ...EARLIER[0], upload_id: ID, stored: 1, duplicates: 0, refused_count: 1, refused });
}

beforeEach(() => {
  localStorage.clear();
  locale.choose("en");
  vi.stubGlobal("fetch", answered);
  history.replaceState(null, "", "/upload");
  router.read();
});
afterEach(() => vi.unstubAllGlobals());

test("what was uploaded before is told, and how to go on with what was not finished", async () => {
  show();

  expect(await screen.findByText("7 instances stored")).toBeTruthy();
  expect(screen.getByText("Not finished: choose the same files again, and it goes on.")).toBeTruthy();
});

test("chosen files go up together, and what was refused is named", async () => {
  const user = show();
  await screen.findByRole("button", { name: "Choose files" });
  const files = ["1.dcm", "2.dcm"].map((name) => new File([name], name));

  await user.upload(screen.getByTestId("files"), files);

  expect(await screen.findByText("1 instance stored")).toBeTruthy();
  expect(screen.getByRole("cell", { name: "2.dcm" })).toBeTruthy();
  expect(screen.getByRole("cell", { name: "data set: cut off" })).toBeTruthy();
});

test("who may not upload is told so", async () => {
  show([]);

  expect(await screen.findByText("Your account may not upload. An administrator can change that.")).toBeTruthy();
  expect(screen.queryByRole("button", { name: "Choose files" })).toBeNull();
});
