// A zip file of chosen files (APPNOTE 6.3.10): nothing compressed, nothing copied into memory, the
// same bytes each time, so that an upload goes on with the same files after a reload.

export interface Named {
  /** Path below what was chosen. */
  readonly name: string;
  readonly file: Blob;
}

const NARROW = 0xffffffff;
const MOST_ENTRIES = 0xffff;
const UTF8_NAMES = 0x0800;
/** 1980-01-01, the first day a zip file knows. */
const FIRST_DAY = 0x21;
const PIECE = 4 << 20;

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit += 1) remainder = remainder & 1 ? (remainder >>> 1) ^ 0xedb88320 : remainder >>> 1;
  return remainder >>> 0;
});

/** Makes the archive; every file is read once for its checksum. */
export async function zipBlob(files: readonly Named[], onRead: (bytes: number) => void, signal: AbortSignal): Promise<Blob> {
  const parts: BlobPart[] = [];
  const directory: Uint8Array<ArrayBuffer>[] = [];
  let offset = 0;
  let read = 0;
  for (const { name, file } of sorted(files)) {
    const crc = await checksum(file, (bytes) => onRead((read += bytes)), signal);
    const about = { name: new TextEncoder().encode(name), crc, size: file.size, offset };
    const head = local(about);
    parts.push(head, file);
    directory.push(central(about));
    offset += head.length + file.size;
  }
  const size = directory.reduce((sum, one) => sum + one.length, 0);
  return new Blob([...parts, ...directory, ...end(directory.length, size, offset)]);
}

/** Files in the order in which they stand in the archive. */
export function sorted(files: readonly Named[]): readonly Named[] {
  return files.toSorted((one, other) => (one.name < other.name ? -1 : one.name > other.name ? 1 : 0));
}

async function checksum(file: Blob, onRead: (bytes: number) => void, signal: AbortSignal): Promise<number> {
  let crc = 0xffffffff;
  for (let start = 0; start < file.size; start += PIECE) {
    signal.throwIfAborted();
    const piece = new Uint8Array(await file.slice(start, start + PIECE).arrayBuffer());
    for (const byte of piece) crc = (crc >>> 8) ^ TABLE[(crc ^ byte) & 0xff]!;
    onRead(piece.length);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

interface About {
  readonly name: Uint8Array;
  readonly crc: number;
  readonly size: number;
  readonly offset: number;
}

function local(about: About): Uint8Array<ArrayBuffer> {
  const wide = about.size >= NARROW ? [about.size, about.size] : [];
  const extra = wideExtra(wide);
  const bytes = new Uint8Array(30 + about.name.length + extra.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x04034b50, true);
  common(view, 4, about, extra.length, wide.length > 0);
  bytes.set(about.name, 30);
  bytes.set(extra, 30 + about.name.length);
  return bytes;
}

function central(about: About): Uint8Array<ArrayBuffer> {
  const wide = [...(about.size >= NARROW ? [about.size, about.size] : []), ...(about.offset >= NARROW ? [about.offset] : [])];
  const extra = wideExtra(wide);
  const bytes = new Uint8Array(46 + about.name.length + extra.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x02014b50, true);
  view.setUint16(4, wide.length > 0 ? 45 : 20, true);
  common(view, 6, about, extra.length, wide.length > 0);
  view.setUint32(42, Math.min(about.offset, NARROW), true);
  bytes.set(about.name, 46);
  bytes.set(extra, 46 + about.name.length);
  return bytes;
}

/** What both records say, from the version needed on. */
function common(view: DataView, at: number, about: About, extraLength: number, wide: boolean): void {
  view.setUint16(at, wide ? 45 : 20, true);
  view.setUint16(at + 2, UTF8_NAMES, true);
  view.setUint16(at + 8, FIRST_DAY, true);
  view.setUint32(at + 10, about.crc, true);
  view.setUint32(at + 14, Math.min(about.size, NARROW), true);
  view.setUint32(at + 18, Math.min(about.size, NARROW), true);
  view.setUint16(at + 22, about.name.length, true);
  view.setUint16(at + 24, extraLength, true);
}

function wideExtra(values: readonly number[]): Uint8Array {
  if (values.length === 0) return new Uint8Array(0);
  const bytes = new Uint8Array(4 + 8 * values.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 1, true);
  view.setUint16(2, 8 * values.length, true);
  values.forEach((value, nth) => view.setBigUint64(4 + 8 * nth, BigInt(value), true));
  return bytes;
}

function end(count: number, size: number, offset: number): Uint8Array<ArrayBuffer>[] {
  const narrow = new Uint8Array(22);
  const view = new DataView(narrow.buffer);
  view.setUint32(0, 0x06054b50, true);
  view.setUint16(8, Math.min(count, MOST_ENTRIES), true);
  view.setUint16(10, Math.min(count, MOST_ENTRIES), true);
  view.setUint32(12, Math.min(size, NARROW), true);
  view.setUint32(16, Math.min(offset, NARROW), true);
  return count >= MOST_ENTRIES || size >= NARROW || offset >= NARROW ? [wideEnd(count, size, offset), narrow] : [narrow];
}

function wideEnd(count: number, size: number, offset: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(56 + 20);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x06064b50, true);
  view.setBigUint64(4, 44n, true);
  view.setUint16(12, 45, true);
  view.setUint16(14, 45, true);
  view.setBigUint64(24, BigInt(count), true);
  view.setBigUint64(32, BigInt(count), true);
  view.setBigUint64(40, BigInt(size), true);
  view.setBigUint64(48, BigInt(offset), true);
  view.setUint32(56, 0x07064b50, true);
  view.setBigUint64(64, BigInt(offset + size), true);
  view.setUint32(72, 1, true);
  return bytes;
}
