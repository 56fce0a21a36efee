/** Authentication of connections: all further requests over the connection count as the same user's (RFC 4559 §6). */

/** Schemes of this kind, anywhere in a list of challenges. A word in a realm matches too, which does no harm. */
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
