// Forms marked data-webauthn: ask a security key before they are sent.

const decode = (text) =>
  Uint8Array.from(
    atob(text.replace(/-/g, "+").replace(/_/g, "/")),
    (character) => character.charCodeAt(0),
  );

const encode = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replace(/\+/g, "-")
    .replace(/\//g, "_")
    .replace(/=+$/, "");

const withIds = (known) =>
  known?.map((credential) => ({ ...credential, id: decode(credential.id) }));

function prepared(options) {
  const ready = { ...options, challenge: decode(options.challenge) };
  if (options.user) ready.user = { ...options.user, id: decode(options.user.id) };
  if (options.excludeCredentials)
    ready.excludeCredentials = withIds(options.excludeCredentials);
  if (options.allowCredentials)
    ready.allowCredentials = withIds(options.allowCredentials);
  return ready;
}

function plain(credential) {
  const response = {};
  for (const name of [
    "clientDataJSON",
    "attestationObject",
    "authenticatorData",
    "signature",
    "userHandle",
  ]) {
    if (credential.response[name])
      response[name] = encode(credential.response[name]);
  }
  if (credential.response.getTransports)
    response.transports = credential.response.getTransports();
  return {
    id: credential.id,
    rawId: encode(credential.rawId),
    type: credential.type,
    clientExtensionResults: {},
    response,
  };
}

async function ask(form) {
  const answer = await fetch(form.dataset.challenge, {
    method: "POST",
    credentials: "same-origin",
    headers: {
      Accept: "application/json",
      "X-CSRFToken": form.elements.csrfmiddlewaretoken.value,
    },
  });
  if (!answer.ok) throw new Error((await answer.json()).detail);
  const publicKey = prepared(await answer.json());
  return form.dataset.webauthn === "create"
    ? navigator.credentials.create({ publicKey })
    : navigator.credentials.get({ publicKey });
}

for (const form of document.querySelectorAll("form[data-webauthn]")) {
  const button = form.querySelector("button");
  const message = form.querySelector("[data-message]");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    message.hidden = true;
    try {
      form.elements.credential.value = JSON.stringify(plain(await ask(form)));
      form.submit();
    } catch {
      button.disabled = false;
      message.textContent = form.dataset.failed;
      message.hidden = false;
    }
  });
}
