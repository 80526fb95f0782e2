#!/usr/bin/env bash
# Commit a built site to the branch gh-pages, beside those of earlier versions: deploy.sh 1.2.3
set -euo pipefail
cd "$(dirname "$0")/../.."
version=$1
pages=$(mktemp -d)
git worktree add --quiet --detach "$pages"
trap 'git worktree remove --force "$pages"' EXIT
if [ -n "$(git ls-remote --heads origin gh-pages)" ]; then
  git -C "$pages" fetch --quiet --depth 1 origin gh-pages
  git -C "$pages" checkout --quiet FETCH_HEAD
else # the first version
  git -C "$pages" checkout --quiet --orphan gh-pages
  git -C "$pages" rm -r --quiet --force .
fi
python3 docs/site/versions.py build/docs "$version" "$pages"
git -C "$pages" add --all
git -C "$pages" -c user.name=featx -c user.email=featx@localhost commit --quiet --allow-empty \
  --message "The documents of $version"
git -C "$pages" push --quiet origin HEAD:gh-pages
