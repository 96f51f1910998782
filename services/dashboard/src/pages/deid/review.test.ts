import { Code } from "@connectrpc/connect";
import { render, screen, waitFor, within } from "@testing-library/svelte";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it } from "vitest";
import { Permission } from "../../gen/heimdallr/access/v1/permission_pb";
import { ObjectState } from "../../gen/heimdallr/deid/v1/review_service_pb";
import { locale } from "../../i18n/translate.svelte";
import { router } from "../../router/router.svelte";
import { shortcuts } from "../../shortcuts/shortcuts.svelte";
import { typedError } from "../peers/registry";
import { Desk, idOf, makeObject, makeProject, makeSeries, sessionOf } from "./desk";
import Provided from "./Provided.svelte";
import { attributeOf } from "./rule";

const READER = [Permission.DEID_READ, Permission.ARCHIVE_READ];
const REVIEWER = [...READER, Permission.DEID_REVIEW];
const ADMINISTRATOR = [...REVIEWER, Permission.DEID_REVEAL, Permission.DEID_ADMIN];

function show(desk: Desk, permissions: Permission[] = ADMINISTRATOR) {
  render(Provided, { transport: desk.transport, session: sessionOf(...permissions), route: { page: "deid", room: "series", id: idOf(51) } });
  return userEvent.setup();
}

function deskOf(...objects: Desk["objects"]): Desk {
  const desk = new Desk();
  desk.projects = [makeProject(1)];
  desk.series = [makeSeries(1)];
  desk.objects = objects;
  return desk;
}

const chosen = (): string | undefined => document.querySelector("[aria-label='Objects'] [aria-current=true]")?.textContent?.trim().replace(/\s+/g, " ");

beforeEach(() => {
  locale.choose("en");
  router.navigate(`/deidentification/series/${idOf(51)}`, { replace: true });
});

describe("a series under review", () => {
  it("shows why an object is held, what to do, and what was done to it with values masked", async () => {
    show(deskOf(makeObject(1), makeObject(2)));

    expect(await screen.findByText(/The pixels may show text, and nothing has read them/)).toBeTruthy();
    expect(screen.getByText(/Approve when none shows who the patient is/)).toBeTruthy();
    const row = await screen.findByRole("row", { name: /StudyDescription/ });
    expect(row.textContent).toContain("••••••••");
    expect(row.textContent).toContain("CHEST");
    expect(row.textContent).toContain("Cleaned");
    expect(screen.getByText("40 attributes stay as they are.")).toBeTruthy();
  });

  it("draws boxes over the frame they lie on", async () => {
    const boxes = [{ frame: 2, x: 10, y: 20, width: 30, height: 40, code: "OCR_TEXT" }];
    const user = show(deskOf(makeObject(1, { boxes })));

    const picture = await screen.findByRole("img", { name: /Frame 2 of object 1/ });
    expect(picture.getAttribute("src")).toBe("/dicom-web/studies/1.2/series/1.2.3/instances/1.2.3.01/frames/2/rendered");
    expect(document.querySelector("svg rect")?.getAttribute("width")).toBe("30");
    expect(document.querySelector("svg rect")?.getAttribute("fill")).toBe("#000");
    await user.click(screen.getByLabelText("Boxes cover what is blanked"));
    expect(document.querySelector("svg rect")?.getAttribute("fill")).toBe("none");
    await user.click(screen.getByRole("button", { name: "Next frame" }));

    await waitFor(() => expect(router.query.get("frame")).toBe("3"));
    expect(document.querySelector("svg rect")).toBeNull();
  });

  it("is gone through and decided by keys alone", async () => {
    const desk = deskOf(makeObject(1), makeObject(2), makeObject(3));
    const user = show(desk);
    await screen.findByRole("button", { name: /Object 3/ });

    await user.keyboard("j");
    await waitFor(() => expect(chosen()).toContain("Object 2"));
    await user.keyboard("r");
    const dialog = within(await screen.findByRole("dialog"));
    await user.click(dialog.getByRole("button", { name: "Reject" }));
    expect(dialog.getByText("A reason is needed.")).toBeTruthy();
    await user.type(dialog.getByLabelText("Reason"), "shows a name{Tab}{Tab}{Enter}");

    expect(await screen.findByText("Rejected. It stays inside.")).toBeTruthy();
    expect(desk.asked).toEqual(["decide 2 shows a name"]);
    await waitFor(() => expect(chosen()).toContain("Object 3"));
    await user.keyboard("a");
    await user.type(within(await screen.findByRole("dialog")).getByLabelText("Reason"), "clean{Tab}{Tab}{Enter}");
    expect(await screen.findByText("Approved. It is made again.")).toBeTruthy();
    await waitFor(() => expect(chosen()).toContain("Object 1"));
  });

  it("shows values only after it said that this is recorded", async () => {
    const desk = deskOf(makeObject(1));
    const user = show(desk);
    await screen.findByText("••••••••");

    await user.keyboard("v");
    const dialog = within(await screen.findByRole("dialog"));
    expect(dialog.getByText(/audit trail records that you looked/)).toBeTruthy();
    expect(desk.asked).toEqual([]);
    await user.click(dialog.getByRole("button", { name: "Reveal values" }));

    expect(await screen.findByText("CHEST DOE^JOHN")).toBeTruthy();
    expect(desk.asked).toEqual([`reveal ${idOf(101)}`]);
    await user.click(screen.getByRole("button", { name: /Mask values/ }));
    expect(await screen.findByText("••••••••")).toBeTruthy();
    expect(screen.queryByText("CHEST DOE^JOHN")).toBeNull();
  });

  it("does not offer to approve what no approval lets through", async () => {
    const findings = [{ code: "IDENTIFIER_FOUND", element: "00104000", rule: "a name of the patient" }];
    const user = show(deskOf(makeObject(1, { findings })));

    expect(await screen.findByText(/It cannot be approved/)).toBeTruthy();
    expect(screen.queryByRole("button", { name: /^Approve/ })).toBeNull();
    await user.keyboard("a");

    expect(screen.queryByRole("dialog")).toBeNull();
  });

  it("says when what was approved still has an identifier in it", async () => {
    const desk = deskOf(makeObject(1));
    desk.failure = typedError(Code.FailedPrecondition, "ERROR_REASON_NOT_RELEASED", {});
    const user = show(desk);
    await user.click(await screen.findByRole("button", { name: /^Approve/ }));

    await user.type(screen.getByLabelText("Reason"), "clean{Tab}{Tab}{Enter}");

    expect(await screen.findByText(/An identifier is still in it/)).toBeTruthy();
  });

  it("adds a rule for the attribute of a row", async () => {
    const desk = deskOf(makeObject(1));
    const user = show(desk);
    await user.click(await screen.findByRole("button", { name: "Add a rule for StudyDescription" }));
    const dialog = within(screen.getByRole("dialog"));

    await user.click(dialog.getByRole("radio", { name: "Leave it there, empty" }));
    await user.type(dialog.getByLabelText(/Why/), "names the ward");
    await user.click(dialog.getByRole("button", { name: "Add the rule" }));

    expect(await screen.findByText(/The rule is added. 1 series/)).toBeTruthy();
    expect(desk.asked).toEqual([`rule ${idOf(1)} 00081030 2 names the ward`]);
  });

  it("offers nothing to those who may only look, and lists no keys for it", async () => {
    show(deskOf(makeObject(1)), READER);
    await screen.findByText("••••••••");

    const keys = shortcuts.groups.flatMap((group) => group.shortcuts.map((one) => one.keys));
    expect(keys).toEqual(expect.arrayContaining(["j", "k"]));
    expect(keys).not.toEqual(expect.arrayContaining(["a"]));
    expect(screen.queryByRole("button", { name: /Approve|Reject|Reveal|rule/ })).toBeNull();
  });

  it("is narrowed to a state by the address", async () => {
    router.navigate(`/deidentification/series/${idOf(51)}?state=rejected`, { replace: true });
    const rejected = makeObject(2, { state: ObjectState.REJECTED, decidedBy: "ben", decisionReason: "shows a face" });
    show(deskOf(makeObject(1), rejected));

    expect(await screen.findByText("Rejected by ben: shows a face")).toBeTruthy();
    expect(screen.queryByRole("button", { name: /Object 1/ })).toBeNull();
  });
});

describe("an object that was approved", () => {
  it("stays in view when nothing else waits", async () => {
    const user = show(deskOf(makeObject(1), makeObject(2)));
    for (const object of ["Object 1", "Object 2"]) {
      await waitFor(() => expect(chosen()).toContain(object));
      await user.click(await screen.findByRole("button", { name: /^Approve/ }));
      await user.type(screen.getByLabelText("Reason"), "clean{Tab}{Tab}{Enter}");
      await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
    }

    await waitFor(() => expect(chosen()).toContain("Object 2 Approved"));
  });

  it("is followed until it is made again, and is not offered a second time", async () => {
    const desk = deskOf(makeObject(1, { decidedBy: "ana", decisionReason: "clean" }));
    show(desk);
    expect(await screen.findByRole("button", { name: /Object 1 Being made again/ })).toBeTruthy();
    expect(screen.queryByRole("button", { name: /^Approve/ })).toBeNull();

    desk.objects = [makeObject(1, { state: ObjectState.APPROVED, decidedBy: "ana", decisionReason: "clean" })];

    expect(await screen.findByRole("button", { name: /Object 1 Approved/ }, { timeout: 10_000 })).toBeTruthy();
  });
});

describe("the attribute of a rule", () => {
  it.each([
    ["00400275[1].00081030", "00081030"],
    ["0008103e", "0008103E"],
    ["", ""],
    ["pixels", ""],
  ])("of %s is %s", (element, tag) => {
    expect(attributeOf(element)).toBe(tag);
  });
});
