/** Where the login is kept: this window, this origin, until it is closed. */
const TOKEN_KEY = 'ringbridge.console';

/** What the server refused, in its own words. */
export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** The REST API as the one who logged in. */
export class Api extends EventTarget {
  #token = sessionStorage.getItem(TOKEN_KEY);
  /** @type {Set<string>} the paths of the OpenAPI document: what this server has */
  #paths = new Set();

  get loggedIn() {
    return Boolean(this.#token);
  }

  /** @param {string} organization @param {string} key */
  async logIn(organization, key) {
    const { data } = await this.#ask('POST', '/console/session', {
      organization_id: organization,
      api_key: key,
    });
    this.#token = data.token;
    sessionStorage.setItem(TOKEN_KEY, data.token);
  }

  async logOut() {
    // Forgotten here even if the server cannot be told.
    await this.#ask('DELETE', '/console/session').catch(() => {});
    this.#forget();
  }

  /** Whether the login still holds; reads what the server can do. */
  async resume() {
    if (!this.#token) return false;
    await this.#ask('GET', '/console/session');
    const document = await (await fetch('/openapi.json')).json();
    this.#paths = new Set(Object.keys(document.paths));
    return true;
  }

  /** @param {string} path below `/v2`, such as `/sip/trunks` */
  has(path) {
    return this.#paths.has(path) || this.#paths.has(`/v2${path}`);
  }

  get(path) {
    return this.#ask('GET', `/v2${path}`);
  }

  post(path, body = {}) {
    return this.#ask('POST', `/v2${path}`, body);
  }

  patch(path, body) {
    return this.#ask('PATCH', `/v2${path}`, body);
  }

  remove(path) {
    return this.#ask('DELETE', `/v2${path}`);
  }

  /** Something beside the REST API: `/version`, `/readyz`. */
  async plain(path) {
    const response = await fetch(path);
    return response.json();
  }

  #forget() {
    this.#token = null;
    sessionStorage.removeItem(TOKEN_KEY);
    this.dispatchEvent(new Event('loggedout'));
  }

  async #ask(method, path, body) {
    const headers = {};
    if (this.#token) headers.Authorization = `Bearer ${this.#token}`;
    if (body !== undefined) headers['Content-Type'] = 'application/json';
    let response;
    try {
      // Without credentials a refusal does not make the browser ask for a password of its own.
      const text = body && JSON.stringify(body);
      response = await fetch(path, { method, headers, body: text, credentials: 'omit' });
    } catch {
      throw new ApiError(0, 'unreachable', 'The server does not answer.');
    }
    if (response.status === 204) return {};
    const reply = await response.json().catch(() => ({}));
    if (response.ok) return reply;
    const { code = 'unknown', message = `The server says ${response.status}.` } = reply.error ?? {};
    if (response.status === 401 && this.#token) this.#forget();
    throw new ApiError(response.status, code, message);
  }
}
