// The provider itself, without the package's main module: that one warns on the console about every Node that its
// release does not call LTS, and there is no setting for it.
declare module 'oidc-provider/lib/provider.js' {
  export { Provider } from 'oidc-provider';
}
