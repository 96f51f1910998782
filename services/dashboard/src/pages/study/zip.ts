// A ZIP file of stored (not compressed) entries, made as it is read (APPNOTE 6.3.10; no ZIP64).

/** One file of the archive. */
export interface ZipEntry {
  readonly name: string;
  readonly data: Uint8Array;
}

/** Sizes and offsets of a ZIP file without ZIP64 have 32 bits, its count of entries 16. */
export const LARGEST_ZIP = 0xffffffff;
export const MOST_ENTRIES = 0xffff;

const VERSION = 20;
const UTF8_NAMES = 0x0800;
const LOCAL_SIGNATURE = 0x04034b50;
const CENTRAL_SIGNATURE = 0x02014b50;
const END_SIGNATURE = 0x06054b50;
/** 1980-01-01, the first day a ZIP file knows. */
const FIRST_DAY = 0x21;

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit += 1) remainder = remainder & 1 ? (remainder >>> 1) ^ 0xedb88320 : remainder >>> 1;
  return remainder >>> 0;
});

/** CRC-32 of bytes (ISO 3309). */
export function crc32(data: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of data) crc = (crc >>> 8) ^ CRC_TABLE[(crc ^ byte) & 0xff]!;
  return (crc ^ 0xffffffff) >>> 0;
}

/** Makes a ZIP file of entries, one at a time; throws RangeError when it grows too large. */
export async function* zip(entries: AsyncIterable<ZipEntry>): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const directory: Uint8Array<ArrayBuffer>[] = [];
  let offset = 0;
  for await (const { name, data } of entries) {
    const encoded = new TextEncoder().encode(name);
    const about = { encoded, crc: crc32(data), size: data.length, offset };
    const head = record(about, false);
    offset += head.length + data.length;
    if (offset > LARGEST_ZIP || directory.length >= MOST_ENTRIES) throw new RangeError("too large for a ZIP file");
    directory.push(record(about, true));
    yield head;
    yield new Uint8Array(data);
  }
  yield* directory;
  yield endRecord(directory, offset);
}

interface About {
  readonly encoded: Uint8Array;
  readonly crc: number;
  readonly size: number;
  readonly offset: number;
}

function record(about: About, central: boolean): Uint8Array<ArrayBuffer> {
  const fixed = central ? 46 : 30;
  const bytes = new Uint8Array(fixed + about.encoded.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, central ? CENTRAL_SIGNATURE : LOCAL_SIGNATURE, true);
  if (central) view.setUint16(4, VERSION, true);
  const at = central ? 6 : 4;
  view.setUint16(at, VERSION, true);
  view.setUint16(at + 2, UTF8_NAMES, true);
  view.setUint16(at + 8, FIRST_DAY, true);
  view.setUint32(at + 10, about.crc, true);
  view.setUint32(at + 14, about.size, true);
  view.setUint32(at + 18, about.size, true);
  view.setUint16(at + 22, about.encoded.length, true);
  if (central) view.setUint32(42, about.offset, true);
  bytes.set(about.encoded, fixed);
  return bytes;
}

function endRecord(directory: readonly Uint8Array[], offset: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(22);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, END_SIGNATURE, true);
  view.setUint16(8, directory.length, true);
  view.setUint16(10, directory.length, true);
  view.setUint32(12, directory.reduce((sum, one) => sum + one.length, 0), true);
  view.setUint32(16, offset, true);
  return bytes;
}
