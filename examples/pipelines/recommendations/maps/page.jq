# The page of a user. Input: {proposals: {user, items: [{id, title}]}, rank: [{document}], line: string}; the best first.
.proposals.items as $items |
{
  user: .proposals.user,
  headline: (.line // "For you"),
  items: [.rank[]? | .document as $title | first($items[]? | select(.title == $title) | {id, title})]
}
