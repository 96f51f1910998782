// Texts of this page, in a bundle of their own.
import { sourcesEn, type SourcesKey } from "../../i18n/sources.en";
import { sourcesPt } from "../../i18n/sources.pt";
import { translator } from "../../i18n/translate.svelte";

export const t = translator<SourcesKey>({ en: sourcesEn, pt: sourcesPt });
