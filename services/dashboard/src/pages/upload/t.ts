// Texts of this page, in a bundle of their own.
import { uploadEn, type UploadKey } from "../../i18n/upload.en";
import { uploadPt } from "../../i18n/upload.pt";
import { translator } from "../../i18n/translate.svelte";

export const t = translator<UploadKey>({ en: uploadEn, pt: uploadPt });
