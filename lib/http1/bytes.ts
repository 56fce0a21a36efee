/** The bytes that each part of an HTTP/1.1 head may hold (RFC 9110 §5.6.2, §5.5; RFC 9112 §3). HOT */

export const CR = 0x0d
export const LF = 0x0a
export const SPACE = 0x20
export const TAB = 0x09
export const COLON = 0x3a

/** 1 for the bytes of a token: methods and field names. */
export const IS_TOKEN: Uint8Array = mark(
  "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
)

export function isToken(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (IS_TOKEN[text.charCodeAt(at)] !== 1) return false
  return text.length > 0
}

/** 1 for the bytes of a field value: visible ones, space, tab and obs-text. */
export const IS_VALUE: Uint8Array = createValueBytes()

/** True if `bytes` from `start` spell `word`, in any case; `word` holds lower-case letters and `-` alone. */
export function spells(bytes: Buffer, start: number, word: string): boolean {
  for (let at = 0; at < word.length; at++) {
    if ((bytes[start + at]! | 0x20) !== word.charCodeAt(at)) return false
  }
  return true
}

/** The number that decimal digits spell; -1 if there is another byte, or no digit. */
export function readDigits(bytes: Buffer, start: number, end: number): number {
  if (start >= end) return -1
  let number = 0
  for (let at = start; at < end; at++) {
    const digit = bytes[at]! - 0x30
    if (digit < 0 || digit > 9) return -1
    number = number * 10 + digit
  }
  return number
}

/** A Content-Length of 1 to 15 digits, so that the number is exact; -1 for anything longer or malformed. */
export function readLength(bytes: Buffer, start: number, end: number): number {
  return end - start > 15 ? -1 : readDigits(bytes, start, end)
}

function mark(chars: string): Uint8Array {
  const marks = new Uint8Array(256)
  for (let at = 0; at < chars.length; at++) marks[chars.charCodeAt(at)] = 1
  return marks
}

function createValueBytes(): Uint8Array {
  const marks = new Uint8Array(256).fill(1, 0x20)
  marks[TAB] = 1
  marks[0x7f] = 0
  return marks
}

/** Whether an HTTP/1.1 head can hold the value; what every parser has checked is checked once more where it is written as text. */
export function isFieldValue(value: string): boolean {
  for (let at = 0; at < value.length; at++) if (IS_VALUE[value.charCodeAt(at)] !== 1) return false
  return true
}
