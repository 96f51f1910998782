// Texts of these pages, in a bundle of their own.
import { deidEn, type DeidKey } from "../../i18n/deid.en";
import { deidPt } from "../../i18n/deid.pt";
import { type FindingKey, findingsEn } from "../../i18n/findings.en";
import { findingsPt } from "../../i18n/findings.pt";
import { translator } from "../../i18n/translate.svelte";

export const t = translator<DeidKey>({ en: deidEn, pt: deidPt });
export const tFinding = translator<FindingKey>({ en: findingsEn, pt: findingsPt });
