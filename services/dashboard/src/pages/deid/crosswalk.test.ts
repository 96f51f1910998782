import { Code } from "@connectrpc/connect";
import { render, screen, waitFor, within } from "@testing-library/svelte";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it } from "vitest";
import { Permission } from "../../gen/heimdallr/access/v1/permission_pb";
import { ReidentificationState } from "../../gen/heimdallr/deid/v1/crosswalk_service_pb";
import { locale } from "../../i18n/translate.svelte";
import { typedError } from "../peers/registry";
import { Desk, idOf, makeProject, makeRequest, sessionOf } from "./desk";
import Provided from "./Provided.svelte";

function show(desk: Desk) {
  const session = sessionOf(Permission.DEID_READ, Permission.DEID_REIDENTIFY);
  render(Provided, { transport: desk.transport, session, route: { page: "deid", room: "crosswalk" } });
  return userEvent.setup();
}

function deskOf(...requests: Desk["requests"]): Desk {
  const desk = new Desk();
  desk.projects = [makeProject(1)];
  desk.requests = requests;
  return desk;
}

beforeEach(() => locale.choose("en"));

describe("re-identification", () => {
  it("is asked for with a reason, and waits for somebody else", async () => {
    const desk = deskOf();
    const user = show(desk);
    expect(await screen.findByText("Nobody has asked yet")).toBeTruthy();
    await user.click(screen.getByRole("button", { name: "Ask" }));
    const dialog = within(screen.getByRole("dialog"));

    await user.type(dialog.getByLabelText("Pseudonym"), "PSEUDO-9");
    await user.type(dialog.getByLabelText("Reason"), "short");
    await user.click(dialog.getByRole("button", { name: "Ask" }));
    expect(dialog.getByText("At least 10 characters.")).toBeTruthy();
    await user.type(dialog.getByLabelText("Reason"), " and then longer");
    await user.click(dialog.getByRole("button", { name: "Ask" }));

    expect(await screen.findByText("Asked. Another person has to agree.")).toBeTruthy();
    const row = await screen.findByRole("row", { name: /PSEUDO-9/ });
    expect(row.textContent).toContain("Waits for another person");
    expect(within(row).queryByRole("button")).toBeNull();
  });

  it("says when nobody has that pseudonym", async () => {
    const desk = deskOf();
    desk.failure = typedError(Code.NotFound, "ERROR_REASON_REIDENTIFICATION_NOT_FOUND", {});
    const user = show(desk);
    await user.click(await screen.findByRole("button", { name: "Ask" }));
    const dialog = within(screen.getByRole("dialog"));
    await user.type(dialog.getByLabelText("Pseudonym"), "nobody");
    await user.type(dialog.getByLabelText("Reason"), "a reason that is long");

    await user.click(dialog.getByRole("button", { name: "Ask" }));

    expect(await dialog.findByText("This project gave nobody that pseudonym.")).toBeTruthy();
  });

  it("is agreed to by somebody else alone", async () => {
    const desk = deskOf(makeRequest(1), makeRequest(2, { requestedBy: "ana" }));
    const user = show(desk);
    const theirs = await screen.findByRole("row", { name: /PSEUDO-1/ });
    expect(within(screen.getByRole("row", { name: /PSEUDO-2/ })).queryByRole("button")).toBeNull();

    await user.click(within(theirs).getByRole("button", { name: /^Agree/ }));

    expect(await screen.findByText("Agreed. Who asked may see it now.")).toBeTruthy();
    expect(desk.asked).toEqual(["agree true"]);
  });

  it("tells who it is in a dialog that leaves nothing behind", async () => {
    const desk = deskOf(makeRequest(2, { requestedBy: "ana", state: ReidentificationState.AGREED, decidedBy: "bea" }));
    const user = show(desk);
    await user.click(await screen.findByRole("button", { name: /^Tell/ }));

    const dialog = within(await screen.findByRole("dialog"));
    expect(dialog.getByText("ID-7")).toBeTruthy();
    expect(dialog.getByText("1970-01-02")).toBeTruthy();
    expect(desk.asked).toEqual([`tell ${idOf(202)}`]);
    await user.click(dialog.getAllByRole("button", { name: "Close" }).at(-1) as HTMLElement);

    await waitFor(() => expect(screen.queryByText("ID-7")).toBeNull());
  });
});
