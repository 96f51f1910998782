import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { parcelsOf } from "./chosen";
import { Upload } from "./upload.svelte";

const ID = "0192f0c4-0000-7000-8000-00000000000a";
const EMPTY = { duplicates: 0, conflicts: 0, journaled: 0, refused_count: 0, skipped_count: 0, references_refused: 0, references_missing: 0, failure: "" };

/** A gateway in memory that takes 10 bytes of each piece and can be told to fail. */
class Gateway {
  bytes: number[] = [];
  created = 0;
  length = 0;
  failing: number[] = [];
  known = true;
  step = 1000;

  readonly fetch = async (path: string, init: RequestInit): Promise<Response> => {
    const failing = this.failing.shift();
    if (failing === 0) throw new TypeError("no connection");
    if (failing !== undefined && failing !== 200) return new Response("{}", { status: failing });
    const headers = new Headers(init.headers);
    switch (init.method) {
      case "POST":
        this.created += 1;
        this.known = true;
        this.bytes = [];
        this.length = Number(headers.get("Upload-Length"));
        return new Response(null, { status: 201, headers: { Location: `${path}/${ID}` } });
      case "HEAD":
        return this.known ? this.#at(200) : new Response(null, { status: 404 });
      case "PATCH": {
        if (Number(headers.get("Upload-Offset")) !== this.bytes.length) return new Response("{}", { status: 409 });
        const piece = new Uint8Array(await (init.body as Blob).arrayBuffer());
        this.bytes.push(...piece.slice(0, this.step));
        return this.#at(204);
      }
      default:
        return Response.json({ upload_id: ID, state: this.bytes.length === this.length ? "done" : "receiving", stored: 1, ...EMPTY });
    }
  };

  #at(status: number): Response {
    return new Response(null, { status, headers: { "Upload-Offset": String(this.bytes.length) } });
  }
}

let gateway: Gateway;
const content = "0123456789".repeat(20);
const parcel = () => parcelsOf([{ name: "one.dcm", file: new File([content], "one.dcm", { lastModified: 7 }) }])[0]!;

beforeEach(() => {
  localStorage.clear();
  gateway = new Gateway();
  vi.stubGlobal("fetch", gateway.fetch);
});
afterEach(() => vi.unstubAllGlobals());

test("a file goes up piece after piece and its outcome is known", async () => {
  gateway.step = 60;
  const upload = new Upload(parcel(), 1);

  await upload.run();

  expect(upload.phase).toBe("done");
  expect(String.fromCharCode(...gateway.bytes)).toBe(content);
  expect(upload.outcome?.stored).toBe(1);
  expect(localStorage.getItem("heimdallr.uploads")).toBe("{}");
});

test("a connection that breaks is gone on with from where the gateway stands", async () => {
  gateway.step = 60;
  // Created; one piece; then the line breaks, and a busy server.
  gateway.failing = [200, 200, 0, 503, 200, 507];
  const upload = new Upload(parcel(), 1);

  await upload.run();

  expect(upload.phase).toBe("done");
  expect(String.fromCharCode(...gateway.bytes)).toBe(content);
  expect(gateway.created).toBe(1);
});

test("after a reload the same file goes on, and another begins", async () => {
  gateway.step = 60;
  gateway.failing = [200, 200, 413];
  const first = new Upload(parcel(), 1);
  await first.run();
  expect([first.phase, first.problem]).toEqual(["failed", "too-large"]);
  expect(localStorage.getItem("heimdallr.uploads")).not.toContain("one.dcm");

  const again = new Upload(parcel(), 1);
  await again.run();

  expect(again.phase).toBe("done");
  expect(gateway.created).toBe(1);
  expect(String.fromCharCode(...gateway.bytes)).toBe(content);
});

test("what the gateway has forgotten is begun anew", async () => {
  localStorage.setItem("heimdallr.uploads", JSON.stringify({ [parcel().key]: ID }));
  gateway.known = false;
  const upload = new Upload(parcel(), 1);

  await upload.run();

  expect(upload.phase).toBe("done");
  expect(gateway.created).toBe(1);
});

test("a session that ended pauses the upload", async () => {
  gateway.failing = [200, 401];
  const upload = new Upload(parcel(), 1);

  await upload.run();
  expect([upload.phase, upload.problem]).toEqual(["paused", "expired"]);
  await upload.run();

  expect(upload.phase).toBe("done");
});

test("zip files and single files go by themselves, all else together", () => {
  const named = (name: string) => ({ name, file: new File(["x"], name, { lastModified: 7 }) });

  const parcels = parcelsOf(["cd/DICOMDIR", "cd/A/1", "more.ZIP"].map(named));
  const single = parcelsOf([named("one.dcm")]);

  expect(parcels.map(({ title, alone, files }) => [title, alone, files.length])).toEqual([
    ["more.ZIP", true, 1],
    ["cd", false, 2],
  ]);
  expect(single[0]?.alone).toBe(true);
  expect(parcelsOf([named("b"), named("a")])[0]?.key).toBe(parcelsOf([named("a"), named("b")])[0]?.key);
});
