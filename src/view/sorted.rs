//! A persistent sorted set of things that know their own keys.
//!
//! A B-tree whose copies share all nodes that did not change, as the maps of `imbl` do, with two
//! differences that matter for a million instances that are each in two sets. Nodes are as long as
//! what they hold: a leaf has no empty places. And inner nodes keep no keys, which would have to be
//! copies of whole elements and would keep alive what was replaced since: where to go on is seen
//! from the first element below each child.
//!
//! All leaves are at the same depth. Nodes that fall below a quarter are merged with a neighbour
//! where that is possible, so depth is logarithmic in the most that a set ever held.

use std::cmp::Ordering;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// How elements are ordered.
pub trait Order<T> {
    /// What they are ordered by.
    type Key<'k>: Copy
    where
        T: 'k;

    /// The key of an element.
    fn key(element: &T) -> Self::Key<'_>;

    /// Where an element is, seen from a key that need not live as long.
    fn compare(element: &T, key: Self::Key<'_>) -> Ordering;
}

/// The most that a node holds. Changing an element copies about one node at each level.
const NODE_MAX: usize = 24;
/// A node with fewer than this is merged if it can be.
const NODE_MIN: usize = 6;

#[derive(Clone)]
enum Tree<T> {
    Leaf(Arc<[T]>),
    Branch(Arc<[Self]>),
}

/// A sorted set; a copy costs nothing and shares everything.
pub struct Sorted<T, O> {
    root: Tree<T>,
    len: usize,
    order: PhantomData<O>,
}

impl<T, O> Clone for Sorted<T, O> {
    fn clone(&self) -> Self {
        let root = match &self.root {
            Tree::Leaf(elements) => Tree::Leaf(Arc::clone(elements)),
            Tree::Branch(children) => Tree::Branch(Arc::clone(children)),
        };
        Self { root, len: self.len, order: PhantomData }
    }
}

impl<T: Clone, O: Order<T>> Sorted<T, O> {
    pub(super) fn new() -> Self {
        Self { root: Tree::Leaf(Arc::from([])), len: 0, order: PhantomData }
    }

    /// The element with this key.
    pub fn get(&self, key: O::Key<'_>) -> Option<&T> {
        let mut tree = &self.root;
        loop {
            match tree {
                Tree::Leaf(elements) => {
                    return find::<T, O>(elements, key).ok().map(|at| &elements[at]);
                }
                Tree::Branch(children) => tree = &children[child_of::<T, O>(children, key)],
            }
        }
    }

    /// All, in order.
    pub fn values(&self) -> Values<'_, T> {
        let mut values = Values { branches: Vec::new(), leaf: [].iter() };
        values.descend(&self.root);
        values
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// None at all?
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds an element, or replaces the one with its key.
    pub(super) fn insert(&mut self, element: T) {
        let (right, new) = insert::<T, O>(&mut self.root, element, true);
        self.len += usize::from(new);
        if let Some(right) = right {
            let left = self.root.clone();
            self.root = Tree::Branch(Arc::from([left, right]));
        }
    }

    pub(super) fn remove(&mut self, key: O::Key<'_>) {
        self.len -= usize::from(remove::<T, O>(&mut self.root, key));
        while let Tree::Branch(children) = &self.root
            && children.len() == 1
        {
            let only = children[0].clone();
            self.root = only;
        }
    }
}

fn find<T, O: Order<T>>(elements: &[T], key: O::Key<'_>) -> Result<usize, usize> {
    elements.binary_search_by(|element| O::compare(element, key))
}

/// Where the key is if it is anywhere.
fn child_of<T, O: Order<T>>(children: &[Tree<T>], key: O::Key<'_>) -> usize {
    children.partition_point(|child| O::compare(child.first(), key).is_le()).saturating_sub(1)
}

impl<T> Tree<T> {
    fn first(&self) -> &T {
        let mut tree = self;
        loop {
            match tree {
                Self::Leaf(elements) => return &elements[0],
                Self::Branch(children) => tree = &children[0],
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Leaf(elements) => elements.len(),
            Self::Branch(children) => children.len(),
        }
    }
}

/// Adds to or replaces in `tree`; what does not fit comes back, to be put right of it. `last`: there
/// is nothing right of `tree`. Says whether the element is new.
fn insert<T: Clone, O: Order<T>>(tree: &mut Tree<T>, element: T, last: bool) -> (Option<Tree<T>>, bool) {
    match tree {
        Tree::Leaf(elements) => {
            let found = find::<T, O>(elements, O::key(&element));
            match found {
                Ok(at) => {
                    Arc::make_mut(elements)[at] = element;
                    (None, false)
                }
                Err(at) => (put(elements, at, element, last).map(Tree::Leaf), true),
            }
        }
        Tree::Branch(children) => {
            let at = child_of::<T, O>(children, O::key(&element));
            let last_child = last && at + 1 == children.len();
            let (right, new) = insert::<T, O>(&mut Arc::make_mut(children)[at], element, last_child);
            let right = right.and_then(|right| put(children, at + 1, right, last));
            (right.map(Tree::Branch), new)
        }
    }
}

/// Puts `item` at a place of a node; gives the right part if it had to be divided. At the very end the
/// left part stays full: what comes in order leaves no half-empty nodes behind.
fn put<X: Clone>(node: &mut Arc<[X]>, at: usize, item: X, last: bool) -> Option<Arc<[X]>> {
    let old = Arc::clone(node);
    if old.len() < NODE_MAX {
        *node = with(&old, at, item);
        return None;
    }
    let middle = if last && at == old.len() { at } else { old.len() / 2 };
    let (left, right) = old.split_at(middle);
    if at < middle {
        *node = with(left, at, item);
        Some(Arc::from(right))
    } else {
        *node = Arc::from(left);
        Some(with(right, at - middle, item))
    }
}

fn with<X: Clone>(items: &[X], at: usize, item: X) -> Arc<[X]> {
    let (before, after) = items.split_at(at);
    before.iter().cloned().chain(std::iter::once(item)).chain(after.iter().cloned()).collect()
}

fn without<X: Clone>(items: &[X], at: usize) -> Arc<[X]> {
    items[..at].iter().chain(&items[at + 1..]).cloned().collect()
}

fn remove<T: Clone, O: Order<T>>(tree: &mut Tree<T>, key: O::Key<'_>) -> bool {
    match tree {
        Tree::Leaf(elements) => match find::<T, O>(elements, key) {
            Ok(at) => {
                *elements = without(elements, at);
                true
            }
            Err(_) => false,
        },
        Tree::Branch(children) => {
            let at = child_of::<T, O>(children, key);
            if !remove::<T, O>(&mut Arc::make_mut(children)[at], key) {
                return false;
            }
            match children[at].len() {
                0 => *children = without(children, at),
                1..NODE_MIN => merge(children, at),
                _ => {}
            }
            true
        }
    }
}

/// Merges a small child with a neighbour, if both fit into one node.
fn merge<T: Clone>(children: &mut Arc<[Tree<T>]>, at: usize) {
    let neighbour = |left: usize| left + 1 < children.len() && fits(&children[left], &children[left + 1]);
    let Some(left) = [at.checked_sub(1), Some(at)].into_iter().flatten().find(|left| neighbour(*left)) else {
        return;
    };
    let merged = match (&children[left], &children[left + 1]) {
        (Tree::Leaf(a), Tree::Leaf(b)) => Tree::Leaf(a.iter().chain(b.iter()).cloned().collect()),
        (Tree::Branch(a), Tree::Branch(b)) => Tree::Branch(a.iter().chain(b.iter()).cloned().collect()),
        _ => return,
    };
    *children = without(children, left + 1);
    Arc::make_mut(children)[left] = merged;
}

fn fits<T>(a: &Tree<T>, b: &Tree<T>) -> bool {
    a.len() + b.len() <= NODE_MAX
}

/// See [`Sorted::values`].
pub struct Values<'a, T> {
    branches: Vec<std::slice::Iter<'a, Tree<T>>>,
    leaf: std::slice::Iter<'a, T>,
}

impl<'a, T> Values<'a, T> {
    fn descend(&mut self, mut tree: &'a Tree<T>) {
        loop {
            match tree {
                Tree::Leaf(elements) => {
                    self.leaf = elements.iter();
                    return;
                }
                Tree::Branch(children) => {
                    let mut children = children.iter();
                    let Some(first) = children.next() else { return };
                    self.branches.push(children);
                    tree = first;
                }
            }
        }
    }
}

impl<'a, T> Iterator for Values<'a, T> {
    type Item = &'a T;

    fn next(&mut self) -> Option<&'a T> {
        loop {
            if let Some(element) = self.leaf.next() {
                return Some(element);
            }
            match self.branches.last_mut()?.next() {
                Some(tree) => self.descend(tree),
                None => drop(self.branches.pop()),
            }
        }
    }
}

impl<T: Clone + PartialEq, O: Order<T>> PartialEq for Sorted<T, O> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.values().eq(other.values())
    }
}

impl<T: Clone + Eq, O: Order<T>> Eq for Sorted<T, O> {}

impl<T: Clone + fmt::Debug, O: Order<T>> fmt::Debug for Sorted<T, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.values()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    struct Number;

    impl Order<(u32, u32)> for Number {
        type Key<'k> = u32;
        fn key(element: &(u32, u32)) -> u32 {
            element.0
        }
        fn compare(element: &(u32, u32), key: u32) -> Ordering {
            element.0.cmp(&key)
        }
    }

    type Set = Sorted<(u32, u32), Number>;

    fn nodes(tree: &Tree<(u32, u32)>) -> (usize, usize) {
        match tree {
            Tree::Leaf(_) => (1, 1),
            Tree::Branch(children) => {
                let parts: Vec<_> = children.iter().map(nodes).collect();
                assert!(parts.iter().all(|p| p.0 == parts[0].0), "all leaves are equally deep");
                assert!(children.len() <= NODE_MAX);
                (parts[0].0 + 1, parts.iter().map(|p| p.1).sum())
            }
        }
    }

    proptest! {
        #[test]
        fn a_set_holds_what_a_map_holds_and_its_copies_stay_as_they_were(
            ops in prop::collection::vec((0..400u32, any::<u32>(), 0..3u8), 0..1_500),
            copied_at in 0..1_500usize,
        ) {
            let (mut set, mut plain) = (Set::new(), BTreeMap::new());
            let mut copy = None;
            for (n, (key, value, what)) in ops.into_iter().enumerate() {
                if n == copied_at {
                    copy = Some((set.clone(), plain.clone()));
                }
                // The first half only adds, so that sets grow deep; then as much goes as comes.
                if what == 0 && n > 500 || what == 1 && n > 1_000 {
                    set.remove(key);
                    plain.remove(&key);
                } else {
                    set.insert((key, value));
                    plain.insert(key, value);
                }
                prop_assert_eq!(set.get(key).map(|e| e.1), plain.get(&key).copied());
                prop_assert_eq!(set.len(), plain.len());
            }
            let all = |set: &Set| set.values().copied().collect::<Vec<_>>();
            prop_assert_eq!(all(&set), plain.into_iter().collect::<Vec<_>>());
            nodes(&set.root);
            if let Some((set, plain)) = copy {
                prop_assert_eq!(all(&set), plain.into_iter().collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn what_comes_in_order_fills_its_nodes_and_what_goes_leaves_none_behind() {
        let mut set = Set::new();
        (0..10_000).for_each(|n| set.insert((n, n)));
        let (depth, leaves) = nodes(&set.root);
        assert_eq!((depth, leaves), (3, 10_000_usize.div_ceil(NODE_MAX)));
        (0..10_000).filter(|n| n % 10 > 0).for_each(|n| set.remove(n));
        assert_eq!(set.len(), 1_000);
        assert!(nodes(&set.root).1 < 250, "{:?}", nodes(&set.root));
        (0..10_000).for_each(|n| set.remove(n));
        assert!(set.is_empty() && set.values().next().is_none());
        assert_eq!(nodes(&set.root), (1, 1));
    }
}
