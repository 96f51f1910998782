import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { beforeEach, describe, expect, it } from "vitest";

import { type Wait, WaitSchema } from "../../gen/heimdallr/workflow/v1/workflow_service_pb";
import { locale } from "../../i18n/translate.svelte";
import { countsDown, fractionOver, remainingS, waitSentence } from "./waiting";

const wait = (values: MessageInitShape<typeof WaitSchema>): Wait => create(WaitSchema, values);
const quiet = wait({ code: "QUIET", text: "Quiet for 12 s of 60 s", remainingS: 48, totalS: 60 });

describe("what a study waits for", () => {
  beforeEach(() => locale.choose("en"));

  it("is counted down between messages, and not below zero", () => {
    expect(remainingS(quiet, 8_000)).toBe(40);
    expect(remainingS(quiet, 99_000)).toBe(0);
    expect(remainingS(quiet, -5)).toBe(48);
    expect(waitSentence(quiet, 8_400)).toBe("Quiet for 20 s of 60 s");
    expect(waitSentence(quiet, 99_000)).toBe("Quiet for 60 s of 60 s");
    expect(fractionOver(quiet, 18_000)).toBe(0.5);
    expect(countsDown([quiet])).toBe(true);
  });

  it("says what is there and of how many", () => {
    expect(waitSentence(wait({ code: "ANNOUNCED", count: 96, wantedCount: 120 }), 0)).toBe("96 of 120 announced images are here");
    expect(waitSentence(wait({ code: "SOURCE_COUNT", count: 1, wantedCount: 2 }), 0)).toBe("1 of 2 images that the source has are here");
    expect(waitSentence(wait({ code: "PROCEDURE_STEP", count: 1 }), 0)).toBe("1 procedure step is still in progress at a modality");
  });

  it("is said in the reader's language", () => {
    locale.choose("pt");

    expect(waitSentence(quiet, 0)).toBe("Silêncio há 12 s de 60 s");
  });

  it("is left to the server's own sentence where the page has none", () => {
    const person = wait({ code: "PERSON", text: "Needs a person" });

    expect(waitSentence(person, 0)).toBeUndefined();
    expect(remainingS(person, 0)).toBeUndefined();
    expect(fractionOver(person, 0)).toBeUndefined();
    expect(countsDown([person])).toBe(false);
  });
});
