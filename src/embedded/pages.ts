/** The realm's few pages: what a browser shows while somebody signs in, plain and without scripts. */
export function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escapeHtml(title)}</title>
<h1>${escapeHtml(title)}</h1>
${body}
</html>
`;
}

/** The sign-in form, posted back to the address it came from. */
export function signInPage(realm: string, failed: boolean): string {
  return page(
    `Sign in to ${realm}`,
    `${failed ? '<p role="alert">Invalid username or password.</p>' : ''}
<form method="post">
<p><label>Username <input name="username" autocomplete="username" required autofocus></label></p>
<p><label>Password <input name="password" type="password" autocomplete="current-password" required></label></p>
<p><button>Sign in</button></p>
</form>`,
  );
}

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
