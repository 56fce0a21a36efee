/** Authentication of a connection instead of a request: whoever sends the next request over it is taken for the same user (RFC 4559 §6). */

/** Schemes of this kind, wherever they stand in a list of challenges. Also true of a word of a realm, which costs little. */
const CHALLENGE = /(?:^|[\s,])(?:ntlm|negotiate)(?=$|[\s,])/i
const CREDENTIALS = /^(?:ntlm|negotiate)(?=$|\s)/i

/** The value of WWW-Authenticate or Proxy-Authenticate. */
export function mayChallengeConnection(value: string): boolean {
  return CHALLENGE.test(value)
}

/** The value of Authorization or Proxy-Authorization. */
export function authenticatesConnection(value: string): boolean {
  return CREDENTIALS.test(value)
}
