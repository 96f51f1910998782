// Texts of this page, in a bundle of their own.
import { studyEn, type StudyKey } from "../../i18n/study.en";
import { studyPt } from "../../i18n/study.pt";
import { translator } from "../../i18n/translate.svelte";

export const t = translator<StudyKey>({ en: studyEn, pt: studyPt });
