import { RingbridgeError } from './errors.js';

/**
 * The readable part of a join token. Nothing here is verified: only the server can do that. It is
 * read so that an expired link is said to be expired before any network is touched.
 *
 * @typedef {{ meetingId?: string, participantId?: string, expiresAt?: Date }} TokenClaims
 */

/**
 * @param {string} token a JWT
 * @returns {TokenClaims}
 * @throws {RingbridgeError} `token_missing` or `token_malformed`
 */
export function readToken(token) {
  if (!token) throw new RingbridgeError('token_missing', 'there is no token');
  const parts = token.split('.');
  if (parts.length !== 3) throw new RingbridgeError('token_malformed', 'a token has three parts');
  try {
    const base64 = parts[1].replaceAll('-', '+').replaceAll('_', '/');
    const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
    const claims = JSON.parse(new TextDecoder().decode(bytes));
    return {
      meetingId: claims.meeting,
      participantId: claims.participant ?? undefined,
      expiresAt: typeof claims.exp === 'number' ? new Date(claims.exp * 1000) : undefined,
    };
  } catch (cause) {
    throw new RingbridgeError('token_malformed', 'the token cannot be read', { cause });
  }
}
