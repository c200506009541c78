// Clicks on links to files, here or elsewhere; the list is the proxy's. (What is
// really fetched from a site behind the proxy is counted there, as downloads.)
onLink((link) => {
  if (
    link.hasAttribute("download") ||
    /\.(pdf|epub|mobi|ps|docx?|xlsx?|pp[st]x?|od[tsp]|rtf|csv|key|pages|numbers|zip|tar|t?gz|t?bz2?|t?xz|zst|7z|rar|[jw]ar|exe|msi|dmg|pkg|deb|rpm|apk|ipa|appimage|iso|img|bin|torrent|mp[34]|m4[av]|og[ag]|opus|wav|flac|wm[av]|midi|mov|avi|mkv|webm|mpe?g)$/i.test(
      link.pathname,
    )
  )
    eider("File Download", { p: { url: target(link) } });
});
